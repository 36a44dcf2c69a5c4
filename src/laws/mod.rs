//! Laws: what training and generation cost, on one device and on many, and when one model is predicted to overtake the
//! other. Nothing here measures; measurements are set beside it, or published laws are fitted to them ([`fit`]).

pub mod collectives;
pub mod critical;
pub mod fit;
pub mod flops;
pub mod memory;
pub mod onset;
pub mod plan;
pub mod scaling;
