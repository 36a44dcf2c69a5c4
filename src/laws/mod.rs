//! Laws: what training and generation cost, and when one model is predicted to overtake the other. Nothing here measures;
//! measurements are set beside it.

pub mod critical;
pub mod flops;
pub mod memory;
pub mod onset;
