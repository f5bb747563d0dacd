//! A spoke that lies.
