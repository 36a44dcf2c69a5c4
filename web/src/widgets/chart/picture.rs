//! A chart as a PNG file: a photograph of its part of the window.

use egui::{Align, ColorImage, Pos2, Rect, Ui, vec2};

use crate::link::files::{self, Inbox};

/// Saves a picture of a part of the window. Says whether it did: a part that is out of sight is scrolled to first, and what
/// lies over it must go.
pub fn save(ui: &Ui, part: Rect, name: &str, inbox: &Inbox) -> bool {
    if !is_in_sight(part, ui.clip_rect()) || egui::Popup::is_any_open(ui.ctx()) {
        ui.scroll_to_rect(part, Some(Align::Center));
        ui.ctx().request_repaint();
        return false;
    }
    let (context, inbox, name) = (ui.ctx().clone(), inbox.clone(), name.to_owned());
    let part = part.intersect(ui.clip_rect());
    ui.ctx().request_screenshot(move |image| {
        if let Some(cut) = cut(&image, part, context.pixels_per_point()) {
            files::save(&context, &inbox, &name, encode(&cut));
        }
    });
    true
}

/// Whether as much of a part can be seen as there is room for.
fn is_in_sight(part: Rect, window: Rect) -> bool {
    // Rectangles lie between pixels.
    const SLACK: f32 = 1.0;
    part.intersect(window).height() + SLACK >= part.height().min(window.height())
}

/// A part, in points, of a picture of the whole window, where any of it is in there.
fn cut(image: &ColorImage, part: Rect, pixels_per_point: f32) -> Option<ColorImage> {
    let size = vec2(image.width() as f32, image.height() as f32) / pixels_per_point;
    let part = part.intersect(Rect::from_min_size(Pos2::ZERO, size));
    part.is_positive()
        .then(|| image.region(&part, Some(pixels_per_point)))
}

/// A PNG file (ISO/IEC 15948) of an opaque picture, not compressed: nobody waits, and nothing is linked for it.
fn encode(image: &ColorImage) -> Vec<u8> {
    let [width, height] = image.size;
    let mut rows = Vec::with_capacity(height * (3 * width + 1));
    for row in image.pixels.chunks(width.max(1)) {
        // Rows are not filtered.
        rows.push(0);
        rows.extend(
            row.iter()
                .flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]),
        );
    }
    let mut header = Vec::from((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    // Eight bits of red, green and blue.
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"IDAT", &stored(&rows));
    chunk(&mut file, *b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], content: &[u8]) {
    file.extend((content.len() as u32).to_be_bytes());
    let from = file.len();
    file.extend(kind);
    file.extend(content);
    let check = crc(&file[from..]);
    file.extend(check.to_be_bytes());
}

/// A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4).
fn stored(content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 65_535;
    let mut stream = vec![0x78, 0x01];
    let blocks = content.len().div_ceil(BLOCK).max(1);
    for index in 0..blocks {
        let block = &content[index * BLOCK..content.len().min((index + 1) * BLOCK)];
        let length = block.len() as u16;
        stream.push(u8::from(index + 1 == blocks));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    let (mut a, mut b) = (1u32, 0u32);
    for byte in content {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

fn crc(content: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in content {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::Color32;

    #[test]
    fn the_checks_are_those_of_the_standards() {
        // The published check value of CRC-32, and the IEND chunk of every PNG file.
        assert_eq!(crc(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc(b"IEND"), 0xAE42_6082);
        // RFC 1950's sum of "Wikipedia" as often quoted: 0x11E60398.
        assert_eq!(stored(b"Wikipedia")[16..], 0x11E6_0398u32.to_be_bytes());
    }

    #[test]
    fn only_what_is_in_the_window_is_cut_out() {
        let image = ColorImage::filled([300, 200], Color32::BLACK);
        let part = |x, y, width, height| Rect::from_min_size(egui::pos2(x, y), vec2(width, height));
        let size = |part| cut(&image, part, 2.0).map(|cut| cut.size);
        assert_eq!(size(part(10.0, 10.0, 50.0, 40.0)), Some([100, 80]));
        assert_eq!(size(part(100.0, 80.0, 500.0, 400.0)), Some([100, 40]));
        assert_eq!(size(part(-20.0, -5.0, 30.0, 15.0)), Some([20, 20]));
        assert_eq!(size(part(10.0, 150.0, 50.0, 40.0)), None);
        let window = part(0.0, 100.0, 400.0, 300.0);
        assert!(is_in_sight(part(0.0, 120.0, 400.0, 200.0), window));
        assert!(!is_in_sight(part(0.0, 250.0, 400.0, 200.0), window));
        assert!(is_in_sight(part(0.0, 50.0, 400.0, 900.0), window));
    }

    #[test]
    fn a_picture_is_as_large_as_its_pixels_need() {
        let image = ColorImage::filled([300, 200], Color32::from_rgb(1, 2, 3));
        let file = encode(&image);
        assert_eq!(file[16..24], [0, 0, 1, 44, 0, 0, 0, 200]);
        assert!(file.len() > 300 * 200 * 3 && file.len() < 300 * 200 * 3 + 600);
    }
}
