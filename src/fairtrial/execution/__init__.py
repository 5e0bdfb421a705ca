"""From pending cells to recorded attempts: the driver, its worker pool, the attempt log, signals, progress.

Nothing here imports torch: what does is behind the folder `cell`, in worker processes.
"""
