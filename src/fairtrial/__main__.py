"""The program: `fairtrial`, and `python -m fairtrial`; neither imports anything from the current folder."""

import sys


def main() -> None:
    """Run one command and end with its exit code; a signal is heard from the first line to the last."""
    from fairtrial.python_path import leave_current_folder

    leave_current_folder()
    import signal

    if hasattr(signal, "pthread_sigmask"):  # a signal waits until there is a handler
        early = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, early)
    from fairtrial.cli.output import open_streams
    from fairtrial.execution.process_environment import drop_binding
    from fairtrial.signals import Ended, Stop, ignore

    open_streams()
    drop_binding()
    try:
        try:
            stop = Stop(raises=True)
            stop.install({})
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            code = stop.code_of(_command)
        finally:
            ignore()
    except Ended as ended:
        code = ended.code
    sys.exit(code)


def _command() -> int:
    from fairtrial.cli.main import main as command

    return command()


if __name__ == "__main__":
    # -m has put the current folder before the library: nothing of it has been imported so far.
    if not sys.flags.safe_path:
        del sys.path[0]
    main()
