//! Laws: what training and generation cost, on one device and on many, and when one model is predicted to overtake the
//! other. Nothing here measures; measurements are set beside it.

pub mod collectives;
pub mod critical;
pub mod flops;
pub mod memory;
pub mod onset;
pub mod scaling;
