//! The one scale by which every view colours certainty: cividis, from dark blue (unsure) to yellow (sure), which reads
//! the same with any colour vision (Nuñez, Anderton & Renslow 2018).

/// The scale at 0, ¼, ½, ¾ and 1.
pub const STOPS: [[u8; 3]; 5] = [
    [0x00, 0x20, 0x4D],
    [0x41, 0x4D, 0x6B],
    [0x7C, 0x7B, 0x78],
    [0xBC, 0xAF, 0x6F],
    [0xFF, 0xEA, 0x46],
];

/// The stops among a terminal's 256 colours, and the colour that is read on each.
pub const TERMINAL: [(u8, u8); 5] = [(17, 231), (60, 231), (244, 16), (143, 16), (227, 16)];

/// The band of a certainty from 0 to 1: which of the stops is nearest.
pub fn band(certainty: f32) -> usize {
    (certainty.clamp(0.0, 1.0) * 4.0).round() as usize
}
