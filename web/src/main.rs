//! The playground as a native window; in the browser, the page.

#[cfg(target_family = "wasm")]
mod page;

#[cfg(not(target_family = "wasm"))]
fn main() -> eframe::Result {
    let options = eframe::NativeOptions::default();
    eframe::run_native(
        "Crossover",
        options,
        Box::new(|creation| Ok(Box::new(crossover_web::app::App::new(&creation.egui_ctx)))),
    )
}

#[cfg(target_family = "wasm")]
fn main() {
    page::start();
}
