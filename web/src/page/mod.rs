//! The playground in a browser's page: eframe on a canvas, and what a canvas lacks.
//!
//! `static/first.js` has shown a recorded text since the first moment and loads this program; `static/page.js` is its other
//! half. The app draws through WebGL, whose context a browser may take away at any time: then everything is drawn anew on
//! another canvas, with the same app.

mod bridge;
mod mirror;
mod shell;
mod tree;

use std::cell::RefCell;
use std::rc::Rc;

use crossover_web::app::App;
use crossover_web::link::hooks;
use wasm_bindgen::prelude::*;
use web_sys::HtmlCanvasElement;

use mirror::{Deeds, Mirror};
use shell::{Kept, Shell};

/// The page while it is up.
#[derive(Default)]
struct Page {
    runner: Option<eframe::WebRunner>,
    context: Option<egui::Context>,
    kept: Option<Rc<RefCell<Kept>>>,
    deeds: Deeds,
}

thread_local! {
    static PAGE: RefCell<Page> = RefCell::default();
}

/// Starts the app on the page's canvas.
pub fn start() {
    // eframe's own hook says what happened on the console, and then calls this one.
    std::panic::set_hook(Box::new(|_| bridge::stopped()));
    bridge::connect(&program());
    wasm_bindgen_futures::spawn_local(draw_on(bridge::canvas()));
}

/// Draws on a canvas from now on: the app that was there before, or a new one.
async fn draw_on(canvas: HtmlCanvasElement) {
    let runner = eframe::WebRunner::new();
    PAGE.with_borrow_mut(|page| page.runner = Some(runner.clone()));
    let options = eframe::WebOptions {
        renderer: eframe::Renderer::Glow,
        webgl_context_option: eframe::WebGlContextOption::WebGl2,
        ..eframe::WebOptions::default()
    };
    ask_little(&canvas);
    let create: eframe::AppCreator<'static> = Box::new(|creation| Ok(Box::new(shell(creation))));
    if let Err(error) = runner.start(canvas, options, create).await {
        web_sys::console::error_1(&error);
        bridge::failed();
    }
}

/// Makes the context that eframe will be given when it asks for one. egui smooths its own edges and covers the whole canvas:
/// several samples a pixel, depth and a page that shines through only cost time, and most of it where a processor draws.
fn ask_little(canvas: &HtmlCanvasElement) {
    let wishes = js_sys::Object::new();
    for part in ["alpha", "antialias", "depth", "stencil"] {
        set(&wishes, part, &false.into());
    }
    // Where there is none, eframe says so.
    let _ = canvas.get_context_with_context_options("webgl2", &wishes);
}

fn shell(creation: &eframe::CreationContext<'_>) -> Shell {
    let context = &creation.egui_ctx;
    context.enable_accesskit();
    let (deeds, old, kept) = PAGE.with_borrow_mut(|page| {
        let old = page.context.replace(context.clone());
        (page.deeds.clone(), old, page.kept.clone())
    });
    context.add_plugin(Mirror::new(deeds));
    if let Some(old) = old {
        inherit(context, &old);
    }
    let kept = kept.unwrap_or_else(|| {
        let mut app = App::new(context)
            .with_link(&bridge::link())
            .recorded_at(bridge::recorded_step());
        app.state_mut().system_reduces_motion = bridge::calm();
        let kept = Rc::new(RefCell::new(Kept::new(app)));
        PAGE.with_borrow_mut(|page| page.kept = Some(Rc::clone(&kept)));
        kept
    });
    Shell::new(kept)
}

/// Takes over what the app and the reader had set: styles, text size, fonts, scrolling, focus.
fn inherit(context: &egui::Context, old: &egui::Context) {
    let memory = old.memory(Clone::clone);
    context.memory_mut(|ours| *ours = memory);
    context.set_fonts(old.fonts(|fonts| fonts.definitions().clone()));
    // Whoever still holds the old one draws by the new one.
    let context = context.clone();
    old.set_request_repaint_callback(move |info| context.request_repaint_after(info.delay));
}

/// The drawing context is lost.
fn rebuild() {
    let runner = PAGE.with_borrow_mut(|page| page.runner.take());
    // There is none while one is being made.
    if let Some(runner) = runner {
        runner.destroy();
        wasm_bindgen_futures::spawn_local(draw_on(bridge::replace()));
    }
}

/// What the page may ask of this program.
fn program() -> JsValue {
    let program = js_sys::Object::new();
    let set = |name, value: &JsValue| set(&program, name, value);
    let act = Closure::<dyn Fn(String)>::new(|deed: String| {
        PAGE.with_borrow(|page| {
            page.deeds.push(&deed);
            if let Some(context) = &page.context {
                context.request_repaint();
            }
        });
    });
    set("act", &act.into_js_value());
    set(
        "rebuild",
        &Closure::<dyn Fn()>::new(rebuild).into_js_value(),
    );
    let state = Closure::<dyn Fn() -> String>::new(|| {
        let hook = PAGE.with_borrow(|page| page.kept.as_ref().map(|kept| kept.borrow().hook()));
        serde_json::to_string(&hook).unwrap_or_default()
    });
    set("state", &state.into_js_value());
    set("faults", &faults());
    program.into()
}

/// What tests break on purpose: `page.js` offers these only where the page's address asks for tests.
fn faults() -> JsValue {
    let faults = js_sys::Object::new();
    let panic = Closure::<dyn Fn()>::new(|| {
        PAGE.with_borrow(|page| {
            if let (Some(kept), Some(context)) = (&page.kept, &page.context) {
                kept.borrow_mut().panics = true;
                context.request_repaint();
            }
        });
    });
    set(&faults, "panicPage", &panic.into_js_value());
    for (name, fault) in [
        ("loseDevice", hooks::lose_device as fn()),
        ("panic", hooks::panic),
        ("fillStorage", hooks::fill_storage),
        ("terminate", hooks::terminate),
    ] {
        let fault = Closure::<dyn Fn()>::new(fault);
        set(&faults, name, &fault.into_js_value());
    }
    faults.into()
}

fn set(object: &js_sys::Object, name: &str, value: &JsValue) {
    // A plain object takes every property.
    let _ = js_sys::Reflect::set(object, &name.into(), value);
}
