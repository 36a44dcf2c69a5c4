//! A tree of widgets as the page mirrors it.

use egui::accesskit::{HasPopup, Node, NodeId, Role, Toggled, TreeUpdate};
use serde::Serialize;

/// The widgets of a picture.
#[derive(Debug, PartialEq, Serialize)]
pub struct Tree {
    root: String,
    focus: String,
    nodes: Vec<Widget>,
}

/// A widget. What it doesn't have is left out.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Widget {
    id: String,
    role: &'static str,
    /// Left, top, width and height in CSS pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<[f32; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<f64>,
    /// `null` for neither on nor off.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<Option<bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    popup: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<String>,
}

impl Tree {
    /// What to mirror of egui's tree: all but what is hidden, and without these nodes. `zoom` is egui's zoom factor.
    pub fn of(update: &TreeUpdate, without: &[NodeId], zoom: f32) -> Self {
        let shown = |(id, node): &&(NodeId, Node)| !node.is_hidden() && !without.contains(id);
        let nodes = update.nodes.iter().filter(shown);
        let nodes = nodes.map(|(id, node)| widget(*id, node, update, zoom));
        let root = update.tree.as_ref().map_or(update.focus, |tree| tree.root);
        let mut nodes: Vec<Widget> = nodes.collect();
        // They come in no order; equal pictures must give equal trees.
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        Self {
            root: root.0.to_string(),
            focus: update.focus.0.to_string(),
            nodes,
        }
    }

    /// The widget that has the focus.
    pub fn focus(&self) -> &str {
        &self.focus
    }
}

fn widget(id: NodeId, node: &Node, update: &TreeUpdate, zoom: f32) -> Widget {
    let place = |rect: egui::accesskit::Rect| {
        let [left, top] = [rect.x0 as f32, rect.y0 as f32];
        [left, top, rect.x1 as f32 - left, rect.y1 as f32 - top]
            .map(|length| (length * zoom).round())
    };
    Widget {
        id: id.0.to_string(),
        role: role(node),
        at: node.bounds().map(place),
        label: label(node, update),
        value: node.value().map(str::to_owned),
        about: node.description().map(str::to_owned),
        hint: node.placeholder().map(str::to_owned),
        number: node.numeric_value(),
        min: node.min_numeric_value(),
        max: node.max_numeric_value(),
        step: node.numeric_value_step(),
        on: node.toggled().map(|toggled| match toggled {
            Toggled::False => Some(false),
            Toggled::True => Some(true),
            Toggled::Mixed => None,
        }),
        open: node.is_expanded(),
        popup: match (node.role(), node.has_popup()) {
            (Role::ComboBox, _) | (_, Some(HasPopup::Listbox)) => Some("listbox"),
            (_, Some(HasPopup::Menu)) => Some("menu"),
            (_, Some(HasPopup::Dialog)) => Some("dialog"),
            _ => None,
        },
        disabled: node.is_disabled().then_some(true),
        children: node.children().iter().map(|id| id.0.to_string()).collect(),
    }
}

/// A widget's name: its own, or the text of what labels it, or what an empty field asks for.
fn label(node: &Node, update: &TreeUpdate) -> Option<String> {
    if let Some(label) = node.label().filter(|label| !label.trim().is_empty()) {
        return Some(label.to_owned());
    }
    let labels = node.labelled_by().iter().filter_map(|id| {
        let (_, node) = update.nodes.iter().find(|(known, _)| known == id)?;
        node.value().or(node.label())
    });
    let labels: Vec<&str> = labels.collect();
    match labels.is_empty() {
        true => node.placeholder().map(str::to_owned),
        false => Some(labels.join(" ")),
    }
}

/// What the page makes of it: an element of its own, an ARIA role, or a `group`.
fn role(node: &Node) -> &'static str {
    match node.role() {
        Role::Button | Role::DefaultButton | Role::ComboBox | Role::ColorWell | Role::Link => {
            "button"
        }
        Role::CheckBox => "checkbox",
        Role::Switch => "checkbox",
        Role::RadioButton => "radio",
        Role::Slider | Role::SpinButton => "slider",
        Role::TextInput
        | Role::SearchInput
        | Role::NumberInput
        | Role::PasswordInput
        | Role::EditableComboBox => "text",
        Role::MultilineTextInput => "area",
        Role::Heading => "heading",
        Role::Label => "label",
        Role::Tab => "tab",
        Role::TabList => "tablist",
        Role::TabPanel => "tabpanel",
        Role::Image | Role::Canvas | Role::Meter => "img",
        Role::ProgressIndicator => "progressbar",
        Role::Table => "table",
        Role::Grid => "grid",
        Role::Row => "row",
        Role::Cell => "cell",
        Role::GridCell => "gridcell",
        Role::ColumnHeader => "columnheader",
        Role::RowHeader => "rowheader",
        Role::List => "list",
        Role::ListItem => "listitem",
        Role::ListBox => "listbox",
        Role::ListBoxOption => "option",
        Role::Menu => "menu",
        Role::MenuItem => "menuitem",
        Role::Dialog => "dialog",
        Role::Alert => "alert",
        Role::Status => "note",
        _ => "group",
    }
}
