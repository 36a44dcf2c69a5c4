//! Numbers as colours: cividis, which reads the same to people who see fewer colours.

use egui::Color32;

use super::{mix, rgb};

/// Five colours of cividis, evenly spaced (Nuñez, Anderton and Renslow 2018).
const CIVIDIS: [Color32; 5] = [
    rgb(0x00_204D),
    rgb(0x41_4D6B),
    rgb(0x7C_7B78),
    rgb(0xBC_AF6F),
    rgb(0xFF_EA46),
];

/// The colour of a share from 0 to 1.
pub fn cividis(share: f32) -> Color32 {
    let place = share.clamp(0.0, 1.0) * (CIVIDIS.len() - 1) as f32;
    let below = (place.floor() as usize).min(CIVIDIS.len() - 2);
    mix(CIVIDIS[below], CIVIDIS[below + 1], place - below as f32)
}

/// Black or white, whichever reads better on a colour.
pub fn ink_on(fill: Color32) -> Color32 {
    match luminance(fill) > 0.18 {
        true => Color32::BLACK,
        false => Color32::WHITE,
    }
}

/// Relative luminance, as WCAG 2 defines it.
fn luminance(color: Color32) -> f32 {
    let linear = egui::Rgba::from(color);
    0.2126 * linear.r() + 0.7152 * linear.g() + 0.0722 * linear.b()
}

/// Contrast of two colours, as WCAG 2 defines it.
pub fn contrast(a: Color32, b: Color32) -> f32 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::super::Palette;
    use super::*;

    #[test]
    fn the_scale_begins_and_ends_where_it_should_and_gets_lighter() {
        assert_eq!(cividis(0.0), CIVIDIS[0]);
        assert_eq!(cividis(1.0), CIVIDIS[4]);
        assert_eq!(cividis(f32::NAN.max(0.0)), CIVIDIS[0]);
        let lightness: Vec<f32> = (0..=20)
            .map(|at| luminance(cividis(at as f32 / 20.0)))
            .collect();
        assert!(lightness.windows(2).all(|pair| pair[0] < pair[1]));
        for at in 0..=20 {
            let fill = cividis(at as f32 / 20.0);
            assert!(contrast(fill, ink_on(fill)) >= 4.5, "{at}");
        }
    }

    #[test]
    fn text_and_edges_stand_out_on_both_surfaces() {
        for palette in [Palette::LIGHT, Palette::DARK] {
            for surface in [palette.background, palette.panel] {
                for text in [
                    palette.text,
                    palette.muted,
                    palette.ar,
                    palette.masked,
                    palette.block,
                    palette.floor,
                    palette.ok,
                    palette.warning,
                    palette.error,
                ] {
                    assert!(contrast(text, surface) >= 4.5, "{text:?} on {surface:?}");
                }
                assert!(contrast(palette.edge, surface) >= 3.0);
                assert!(contrast(palette.focus, surface) >= 3.0);
            }
            assert!(contrast(palette.on_accent(), palette.masked) >= 4.5);
        }
    }
}
