//! The playground as a native window; in the browser, the page.

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
    use eframe::wasm_bindgen::JsCast as _;
    wasm_bindgen_futures::spawn_local(async {
        let document = web_sys::window().and_then(|window| window.document());
        let canvas = document
            .and_then(|document| document.get_element_by_id("app"))
            .and_then(|element| element.dyn_into().ok());
        if let Some(canvas) = canvas {
            let started = eframe::WebRunner::new()
                .start(
                    canvas,
                    eframe::WebOptions::default(),
                    Box::new(|creation| {
                        Ok(Box::new(crossover_web::app::App::new(&creation.egui_ctx)))
                    }),
                )
                .await;
            if let Err(error) = started {
                web_sys::console::error_1(&error);
            }
        }
    });
}
