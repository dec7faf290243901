//! WaveFT on a whole machine.
