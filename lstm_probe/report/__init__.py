"""The report: a run's tables put into words, in the terminal and as one self-contained page."""

from lstm_probe.report.drawing import run_figures
from lstm_probe.report.run_page import write_run_report
from lstm_probe.report.sweep_page import write_report
from lstm_probe.report.terminal import print_findings

__all__ = ["print_findings", "run_figures", "write_report", "write_run_report"]
