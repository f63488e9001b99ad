"""The report: a run's tables put into words, in the terminal and as one self-contained page."""

from lstm_probe.report.run_page import write_run_report
from lstm_probe.report.sweep_page import write_report
from lstm_probe.report.terminal import print_findings

__all__ = ["print_findings", "write_report", "write_run_report"]
