//! Ties simulation, tasks, policies and reports together: the runner and the command line.
