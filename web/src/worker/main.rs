//! The browser's lab: a program in a worker, with its own memory and its own GPU device.

fn main() {}
