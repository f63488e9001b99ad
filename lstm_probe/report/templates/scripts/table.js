// Tables that sort, filter and download.
