"""python3 -m driver: what run_all.sh hands over to."""

import signal
import sys

# While the rest is being imported ^C ends Python as it ends any program, without a traceback.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from driver.main import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
