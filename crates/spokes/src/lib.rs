//! The hands of spokescouncil: everything that touches a clock, a disk, a socket or a screen.

pub mod gateway;
