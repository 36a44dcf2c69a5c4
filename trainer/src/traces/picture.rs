//! A trace as a moving picture: a GIF that needs no player.

use std::borrow::Cow;
use std::ops::Range;

use crossover::error::Error;
use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::image::GetPixel;
use embedded_graphics::mono_font::{
    MonoFont, iso_8859_1, iso_8859_2, iso_8859_5, iso_8859_7, jis_x0201,
};
use embedded_graphics::pixelcolor::BinaryColor;
use gif::{DisposalMethod, Encoder, Frame, Repeat};

use super::colours::{STOPS, band};
use super::film::{Film, Look, Measure, visible};
use super::layout::{Layout, width};

/// The fonts, of which the first that has a character draws it: Latin, Central European, Cyrillic, Greek, Katakana.
const FONTS: [MonoFont<'_>; 5] = [
    iso_8859_1::FONT_9X15,
    iso_8859_2::FONT_9X15,
    iso_8859_5::FONT_9X15,
    iso_8859_7::FONT_9X15,
    jis_x0201::FONT_9X15,
];
/// Width and height of a character, pixels before scaling.
const GLYPH: (usize, usize) = (9, 15);
/// Height of a row of text, and side of a cell of a square.
const ROW: usize = 21;
const CELL: usize = 29;
/// Around everything.
const MARGIN: usize = 12;
/// Columns of text in a row, at most.
const COLUMNS: usize = 56;
/// Columns that the heading needs at least.
const HEADING: usize = 26;
/// Frames, at most: of more steps, as many are shown, evenly.
const FRAMES: usize = 240;
/// Pixels of a frame, at most.
const PIXELS: usize = 4_000_000;
/// How long all frames but the last take together, and how long the last one stays; hundredths of a second.
const PLAY: usize = 700;
const STAY: u16 = 300;

/// The palette, by what each colour is for.
const COLOURS: [[u8; 3]; 12] = [
    [0x13, 0x15, 0x19],
    [0x2C, 0x31, 0x3A],
    [0xE8, 0xEA, 0xED],
    [0xA4, 0xAB, 0xB6],
    [0x59, 0x61, 0x6D],
    [0xFF, 0x8C, 0xC8],
    STOPS[0],
    STOPS[1],
    STOPS[2],
    STOPS[3],
    STOPS[4],
    [0x00, 0x00, 0x00],
];
const GROUND: u8 = 0;
const PANEL: u8 = 1;
const TEXT: u8 = 2;
const FAINT: u8 = 3;
const HATCH: u8 = 4;
const PINK: u8 = 5;
const BANDS: u8 = 6;
const BLACK: u8 = 11;

/// The trace as a GIF that repeats for ever, every pixel `scale` wide and high.
///
/// # Errors
/// When the picture would be too large.
pub fn gif(film: &Film, scale: usize) -> anyhow::Result<Vec<u8>> {
    let stage = Stage::new(film);
    let size = |pixels: usize| {
        let scaled = pixels.checked_mul(scale)?;
        u16::try_from(scaled).ok()
    };
    let fits = stage
        .width
        .checked_mul(stage.height)
        .and_then(|pixels| pixels.checked_mul(scale.checked_mul(scale)?))
        .is_some_and(|pixels| pixels <= PIXELS);
    let (Some(across), Some(down), true) = (size(stage.width), size(stage.height), fits) else {
        return Err(Error::input(format!(
            "{} positions at scale {scale} make too large a picture",
            film.length()
        ))
        .with_hint("give a smaller `--scale`, or use `trace html`")
        .into());
    };
    let mut encoder = Encoder::new(Vec::new(), across, down, COLOURS.as_flattened())?;
    encoder.set_repeat(Repeat::Infinite)?;
    let states = states(film.last());
    let delay = (PLAY / states.len()).clamp(4, 60) as u16;
    let mut shown: Option<Canvas> = None;
    for &state in &states {
        let canvas = stage.draw(film, state);
        let (columns, rows) = match &shown {
            Some(shown) => canvas.changed(shown),
            None => (0..canvas.width, 0..canvas.height),
        };
        encoder.write_frame(&Frame {
            delay: if state == film.last() { STAY } else { delay },
            dispose: DisposalMethod::Keep,
            left: (columns.start * scale) as u16,
            top: (rows.start * scale) as u16,
            width: (columns.len() * scale) as u16,
            height: (rows.len() * scale) as u16,
            buffer: Cow::Owned(canvas.scaled(columns, rows, scale)),
            ..Frame::default()
        })?;
        shown = Some(canvas);
    }
    Ok(encoder.into_inner()?)
}

/// The states that are shown, the first and the last among them.
fn states(last: usize) -> Vec<usize> {
    let frames = (last + 1).min(FRAMES);
    (0..frames)
        .map(|frame| frame * last / (frames - 1).max(1))
        .collect()
}

/// What all frames share.
struct Stage {
    layout: Layout,
    width: usize,
    height: usize,
}

impl Stage {
    fn new(film: &Film) -> Self {
        let layout = Layout::new(film, COLUMNS);
        let (width, row) = match film.side {
            Some(side) => (side * CELL, CELL),
            None => {
                let row = |row: &Range<usize>| layout.widths[row.clone()].iter().sum::<usize>();
                let longest = layout.rows.iter().map(row).max().unwrap_or(1);
                (longest * GLYPH.0, ROW)
            }
        };
        Self {
            width: width.max(HEADING * GLYPH.0) + 2 * MARGIN,
            // A heading above, a bar below.
            height: 2 * ROW + layout.rows.len() * row + 2 * MARGIN,
            layout,
        }
    }

    fn draw(&self, film: &Film, state: usize) -> Canvas {
        let mut canvas = Canvas::new(self.width, self.height);
        let room = self.width - 2 * MARGIN;
        let place = format!("step {state}/{}", film.last());
        let what = visible(&film.trace.header.sampler.name);
        canvas.write(MARGIN, MARGIN, &place, TEXT);
        let beside = room.saturating_sub((width(&place) + 2) * GLYPH.0) / GLYPH.0;
        if width(&what) <= beside {
            let from = MARGIN + room - width(&what) * GLYPH.0;
            canvas.write(from, MARGIN, &what, FAINT);
        }
        let top = MARGIN + ROW + 4;
        for (down, row) in self.layout.rows.iter().enumerate() {
            // A square stands in the middle, a text at the left.
            let mut x = match film.side {
                Some(side) => (self.width - side * CELL) / 2,
                None => MARGIN,
            };
            for position in row.clone() {
                let (wide, high) = match film.side {
                    Some(_) => (CELL, CELL),
                    None => (self.layout.widths[position] * GLYPH.0, ROW),
                };
                let cell = Area {
                    x,
                    y: top + down * high,
                    wide,
                    high,
                };
                draw_cell(&mut canvas, film, state, position, cell);
                x += wide;
            }
        }
        let y = self.height - MARGIN - 4;
        let done = room * state / film.last().max(1);
        canvas.fill(MARGIN..MARGIN + room, y..y + 4, PANEL);
        canvas.fill(MARGIN..MARGIN + done, y..y + 4, TEXT);
        canvas
    }
}

/// A rectangle.
#[derive(Clone, Copy)]
struct Area {
    x: usize,
    y: usize,
    wide: usize,
    high: usize,
}

impl Area {
    /// Without its edge.
    fn inside(self, edge: usize) -> (Range<usize>, Range<usize>) {
        (
            self.x + edge..self.x + self.wide - edge,
            self.y + edge..self.y + self.high - edge,
        )
    }
}

fn draw_cell(canvas: &mut Canvas, film: &Film, state: usize, position: usize, cell: Area) {
    let look = film.look(state, position);
    let gap = usize::from(film.side.is_some());
    let (columns, rows) = cell.inside(gap);
    // Rows of text keep apart.
    let rows = rows.start + 1..rows.end - 1;
    let ink = match look {
        Look::Masked | Look::Remasked => {
            let ink = if look == Look::Masked { HATCH } else { PINK };
            canvas.fill(columns.clone(), rows.clone(), PANEL);
            canvas.hatch(columns, rows, ink);
            return;
        }
        Look::Given => {
            // A line below, as nothing else has.
            canvas.fill(columns.clone(), rows.end - 2..rows.end, FAINT);
            TEXT
        }
        Look::Fresh | Look::Written => {
            let certainty = film.certainty(state, position, Measure::Confidence);
            let band = certainty.map_or(0, band) as u8;
            if look == Look::Fresh {
                canvas.fill(columns.clone(), rows.clone(), TEXT);
                // Letters have no room for a frame at their sides.
                let columns = columns.start + 2 * gap..columns.end - 2 * gap;
                canvas.fill(columns, rows.start + 2..rows.end - 2, BANDS + band);
            } else {
                canvas.fill(columns, rows, BANDS + band);
            }
            if band < 2 { TEXT } else { BLACK }
        }
    };
    let text = visible(&film.spelling(film.tokens(state)[position]));
    let shown = width(&text).min(cell.wide / GLYPH.0) * GLYPH.0;
    // A cell of a square holds its number in the middle; a text has no room to spare.
    let x = if film.side.is_some() {
        cell.x + (cell.wide - shown) / 2
    } else {
        cell.x
    };
    let y = cell.y + (cell.high - GLYPH.1) / 2;
    canvas.write_within(x, y, &text, ink, cell.x + cell.wide);
}

/// Pixels, as indices of the palette.
#[derive(Clone)]
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![GROUND; width * height],
        }
    }

    /// Sets a pixel; what is outside is lost.
    fn set(&mut self, x: usize, y: usize, colour: u8) {
        if x < self.width && y < self.height {
            self.pixels[y * self.width + x] = colour;
        }
    }

    fn fill(&mut self, columns: Range<usize>, rows: Range<usize>, colour: u8) {
        for y in rows {
            for x in columns.clone() {
                self.set(x, y, colour);
            }
        }
    }

    /// Slanted lines.
    fn hatch(&mut self, columns: Range<usize>, rows: Range<usize>, colour: u8) {
        for y in rows {
            for x in columns.clone().filter(|x| (x + y) % 5 == 0) {
                self.set(x, y, colour);
            }
        }
    }

    fn write(&mut self, x: usize, y: usize, text: &str, ink: u8) {
        self.write_within(x, y, text, ink, self.width);
    }

    /// Writes characters one after the other, as long as they end before `end`.
    fn write_within(&mut self, x: usize, y: usize, text: &str, ink: u8, end: usize) {
        let mut x = x;
        for character in text.chars() {
            let wide = width(character.encode_utf8(&mut [0; 4])) * GLYPH.0;
            if x + wide > end {
                break;
            }
            match glyph(character) {
                // Accents that stand alone have no width of their own.
                _ if wide == 0 => {}
                Some((font, index)) => self.glyph(x, y, font, index, ink),
                None => self.outline(x + 1..x + wide - 1, y + 2..y + GLYPH.1 - 2, ink),
            }
            x += wide;
        }
    }

    fn glyph(&mut self, x: usize, y: usize, font: &MonoFont<'_>, index: usize, ink: u8) {
        let per_row = font.image.size().width as usize / GLYPH.0;
        let (left, top) = (index % per_row * GLYPH.0, index / per_row * GLYPH.1);
        for down in 0..GLYPH.1 {
            for across in 0..GLYPH.0 {
                let point = Point::new((left + across) as i32, (top + down) as i32);
                if font.image.pixel(point) == Some(BinaryColor::On) {
                    self.set(x + across, y + down, ink);
                }
            }
        }
    }

    /// A box, for what no font has.
    fn outline(&mut self, columns: Range<usize>, rows: Range<usize>, ink: u8) {
        for x in columns.clone() {
            self.set(x, rows.start, ink);
            self.set(x, rows.end - 1, ink);
        }
        for y in rows {
            self.set(columns.start, y, ink);
            self.set(columns.end - 1, y, ink);
        }
    }

    /// The smallest rectangle with all pixels that differ; one pixel where none does.
    fn changed(&self, other: &Self) -> (Range<usize>, Range<usize>) {
        let (mut columns, mut rows) = (self.width..0, self.height..0);
        for (index, (new, old)) in self.pixels.iter().zip(&other.pixels).enumerate() {
            if new != old {
                let (x, y) = (index % self.width, index / self.width);
                columns = columns.start.min(x)..columns.end.max(x + 1);
                rows = rows.start.min(y)..rows.end.max(y + 1);
            }
        }
        if columns.is_empty() {
            (0..1, 0..1)
        } else {
            (columns, rows)
        }
    }

    fn scaled(&self, columns: Range<usize>, rows: Range<usize>, scale: usize) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(columns.len() * rows.len() * scale * scale);
        for y in rows {
            let line = &self.pixels[y * self.width..][columns.clone()];
            let wide: Vec<u8> = line
                .iter()
                .flat_map(|&pixel| std::iter::repeat_n(pixel, scale))
                .collect();
            for _ in 0..scale {
                pixels.extend_from_slice(&wide);
            }
        }
        pixels
    }
}

/// The font that has a character, and where.
fn glyph(character: char) -> Option<(&'static MonoFont<'static>, usize)> {
    const NONE: char = '\u{10FFFF}';
    static KNOWN: [MonoFont<'_>; 5] = FONTS;
    let character = match character {
        '⏎' => '¶',
        '⇥' => '»',
        other => other,
    };
    KNOWN.iter().find_map(|font| {
        let index = font.glyph_mapping.index(character);
        // A font without it points to its question mark.
        let is_there = character == '?' || index != font.glyph_mapping.index(NONE);
        is_there.then_some((font, index))
    })
}

#[cfg(test)]
mod tests {
    use gif::{ColorOutput, DecodeOptions};

    use super::super::film::tests::{square, story};
    use super::*;

    /// The frames of a GIF as pixels of the whole picture, with their delays.
    fn frames(bytes: &[u8]) -> (usize, Vec<(u16, Vec<u8>)>) {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::Indexed);
        let mut decoder = options.read_info(bytes).unwrap();
        assert_eq!(decoder.repeat(), Repeat::Infinite);
        let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
        let mut picture = vec![GROUND; width * height];
        let mut frames = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            let wide = usize::from(frame.width);
            for (down, line) in frame.buffer.chunks_exact(wide).enumerate() {
                let at = (usize::from(frame.top) + down) * width + usize::from(frame.left);
                picture[at..at + wide].copy_from_slice(line);
            }
            frames.push((frame.delay, picture.clone()));
        }
        (width, frames)
    }

    #[test]
    fn every_state_has_a_frame_and_the_last_one_stays() {
        for film in [story(), square()] {
            let stage = Stage::new(&film);
            let (width, frames) = frames(&gif(&film, 1).unwrap());
            assert_eq!(width, stage.width);
            assert_eq!(frames.len(), film.last() + 1);
            for (state, (delay, pixels)) in frames.iter().enumerate() {
                assert!(*pixels == stage.draw(&film, state).pixels, "state {state}");
                assert_eq!(*delay == STAY, state == film.last());
            }
        }
    }

    #[test]
    fn scale_makes_pixels_larger() {
        let (one, two) = (gif(&square(), 1).unwrap(), gif(&square(), 2).unwrap());
        let ((width, small), (wide, large)) = (frames(&one), frames(&two));
        assert_eq!(wide, 2 * width);
        let (small, large) = (&small[2].1, &large[2].1);
        let height = small.len() / width;
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            assert_eq!(small[y * width + x], large[(2 * y + 1) * wide + 2 * x]);
        }
    }

    #[test]
    fn pictures_have_a_size_that_can_be_shown() {
        for scale in [40, 1_000, usize::MAX] {
            let error = gif(&story(), scale).unwrap_err();
            assert!(error.to_string().contains("too large"), "{scale}: {error}");
        }
    }

    #[test]
    fn long_traces_keep_first_and_last() {
        assert_eq!(states(0), [0]);
        assert_eq!(states(3), [0, 1, 2, 3]);
        let states = states(5_000);
        assert_eq!((states.len(), states[0], states[239]), (FRAMES, 0, 5_000));
    }

    #[test]
    fn characters_without_a_glyph_are_boxes() {
        for known in "aé?Žжλｱ⏎·<".chars() {
            assert!(glyph(known).is_some(), "{known}");
        }
        let drawn = |text| {
            let mut canvas = Canvas::new(20, 15);
            canvas.write(0, 0, text, TEXT);
            canvas.pixels
        };
        let boxed = drawn("中");
        assert!(glyph('中').is_none());
        assert_eq!(boxed[2 * 20 + 1..2 * 20 + 17], [TEXT; 16]);
        assert_eq!(boxed[5 * 20 + 2..5 * 20 + 16], [GROUND; 14]);
        assert!(drawn("a") != drawn("e") && drawn("a").contains(&TEXT));
    }
}
