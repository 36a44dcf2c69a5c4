//! What the page around the canvas offers: `static/page.js` says more of each.

use wasm_bindgen::prelude::*;
use web_sys::HtmlCanvasElement;

/// The step to which the page has played the recorded text.
pub fn recorded_step() -> Option<usize> {
    let recorded = js_sys::Reflect::get(&js_sys::global(), &"crossoverRecorded".into()).ok()?;
    let step = js_sys::Reflect::get(&recorded, &"step".into()).ok()?;
    step.as_f64()
        .filter(|step| *step >= 0.0)
        .map(|step| step as usize)
}

#[wasm_bindgen(js_namespace = crossoverPage)]
extern "C" {
    /// Gives the page what it may ask of this program.
    pub fn connect(program: &JsValue);
    /// Where to draw.
    pub fn canvas() -> HtmlCanvasElement;
    /// Another canvas, in place of one that can't be drawn on any more.
    pub fn replace() -> HtmlCanvasElement;
    /// The first picture can be seen.
    pub fn shown();
    /// Nothing can be drawn in this browser.
    pub fn failed();
    /// This program has panicked.
    pub fn stopped();
    /// Mirrors a tree of widgets, as JSON.
    pub fn draw(tree: &str);
    /// Says what goes on.
    pub fn say(text: &str);
    /// The step that a reload would continue from.
    pub fn saved(step: Option<f64>);
    /// The title of the tab.
    pub fn title(text: &str);
    /// The page's address without its query: settings may follow it.
    pub fn link() -> String;
    /// Whether the reader wants nothing to move unasked.
    pub fn calm() -> bool;
    /// Whether the page is dark.
    pub fn theme(dark: bool);
    /// Moves the focus out of the canvas, past its end or before its beginning.
    pub fn leave(forward: bool);
}
