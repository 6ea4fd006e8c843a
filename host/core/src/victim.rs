//! Which room goes first: one total order among unprotected rooms.
