"""What benches share: the clock, rounds in turns, the roofline, the machine, workloads. It knows no study."""
