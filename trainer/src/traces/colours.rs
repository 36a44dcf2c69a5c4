//! The one scale by which every view colours certainty: cividis, from dark blue (unsure) to yellow (sure), which reads
//! the same with any colour vision (Nuñez, Anderton & Renslow 2018).

/// The scale at 0, ¼, ½, ¾ and 1 among a terminal's 256 colours, and the colour that is read on each.
pub const TERMINAL: [(u8, u8); 5] = [(17, 231), (60, 231), (244, 16), (143, 16), (227, 16)];

/// The band of a certainty from 0 to 1: which of the five is nearest.
pub fn band(certainty: f32) -> usize {
    (certainty.clamp(0.0, 1.0) * 4.0).round() as usize
}
