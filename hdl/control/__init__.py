"""Control: registers, jobs, sequencer and the top level."""
