//! Laws: what training and generation cost. Nothing here measures; measurements are set beside it.

pub mod flops;
