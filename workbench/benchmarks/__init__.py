"""What the workbench is measured by: speeds beside a reference of the same run, and games whose answer is known.

The notebooks `90_benchmarks` and `91_yardsticks` show what these functions measure; nothing else imports them.
"""
