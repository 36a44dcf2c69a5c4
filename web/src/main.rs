//! The playground as a native window; in the browser, the page.

#[cfg(target_family = "wasm")]
mod page;

#[cfg(not(target_family = "wasm"))]
fn main() -> eframe::Result {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_inner_size([1280.0, 800.0])
            .with_min_inner_size([360.0, 480.0]),
        ..eframe::NativeOptions::default()
    };
    // A link from the page restores its settings here too: `crossover-app '#v=1&…'`.
    let link = std::env::args().nth(1).unwrap_or_default();
    eframe::run_native(
        "Crossover",
        options,
        Box::new(move |creation| {
            let app = crossover_web::app::App::new(&creation.egui_ctx);
            Ok(Box::new(app.with_link(&link)))
        }),
    )
}

#[cfg(target_family = "wasm")]
fn main() {
    page::start();
}
