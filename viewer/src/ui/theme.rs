//! Theme of the user interface: palette, text sizes, spacing, and widgets that several panels share.

use bevy_egui::egui::style::{HandleShape, WidgetVisuals};
use bevy_egui::egui::text::{LayoutJob, TextFormat};
use bevy_egui::egui::{
    Align, Color32, Context, CornerRadius, FontFamily, FontId, Frame, Margin, Response, RichText,
    Sense, Stroke, StrokeKind, TextStyle, Theme, Ui, Vec2, Visuals,
};

/// Background of panels.
pub const PANEL: Color32 = Color32::from_rgb(21, 24, 30);
/// Background of plots, lists and the timeline.
pub const WELL: Color32 = Color32::from_rgb(14, 16, 20);
/// Separators and borders.
pub const LINE: Color32 = Color32::from_rgb(44, 50, 60);
/// Inactive buttons.
pub const BUTTON: Color32 = Color32::from_rgb(36, 41, 50);
/// Text.
pub const TEXT: Color32 = Color32::from_rgb(214, 219, 227);
/// Secondary text.
pub const WEAK: Color32 = Color32::from_rgb(139, 148, 163);
/// Emphasised text.
pub const STRONG: Color32 = Color32::from_rgb(243, 246, 250);
/// Selected or playing.
pub const ACCENT: Color32 = Color32::from_rgb(88, 166, 232);
/// Success, or a predicate that holds.
pub const GOOD: Color32 = Color32::from_rgb(96, 193, 124);
/// Failure.
pub const BAD: Color32 = Color32::from_rgb(230, 106, 98);
/// Warning.
pub const CARE: Color32 = Color32::from_rgb(229, 178, 84);
/// Divergence of compared episodes.
pub const DIVERGED: Color32 = Color32::from_rgb(198, 140, 236);
/// Second of two compared episodes.
const SECOND: Color32 = Color32::from_rgb(238, 160, 92);

/// Colour of an episode where two are compared.
pub fn episode_colour(episode: usize) -> Color32 {
    if episode == 0 { ACCENT } else { SECOND }
}

/// Applies palette, text sizes, spacing and the rules of clicks.
pub fn apply(ctx: &Context) {
    ctx.set_theme(Theme::Dark);
    // Without a GPU a frame takes a quarter of a second, so a short press may seem long; it is a click all the same.
    ctx.options_mut(|options| options.input_options.max_click_duration = f64::INFINITY);
    ctx.style_mut_of(Theme::Dark, |style| {
        style.visuals = visuals();
        let font = |size| FontId::new(size, FontFamily::Proportional);
        style.text_styles = [
            (TextStyle::Small, font(11.5)),
            (TextStyle::Body, font(13.5)),
            (TextStyle::Button, font(13.5)),
            (TextStyle::Heading, font(16.0)),
            (
                TextStyle::Monospace,
                FontId::new(12.5, FontFamily::Monospace),
            ),
        ]
        .into();
        let spacing = &mut style.spacing;
        spacing.item_spacing = Vec2::new(8.0, 5.0);
        spacing.button_padding = Vec2::new(8.0, 3.0);
        spacing.interact_size = Vec2::new(24.0, 23.0);
        spacing.combo_height = 340.0;
        spacing.menu_margin = Margin::same(6);
        spacing.window_margin = Margin::same(14);
        spacing.scroll.floating = true;
        spacing.scroll.bar_width = 7.0;
        spacing.scroll.floating_width = 4.0;
        spacing.scroll.floating_allocated_width = 7.0;
        style.interaction.selectable_labels = false;
        style.interaction.tooltip_delay = 0.35;
        style.animation_time = 0.0;
    });
}

fn visuals() -> Visuals {
    let mut visuals = Visuals::dark();
    let widget = |fill: Color32, line: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, line),
        corner_radius: CornerRadius::same(5),
        fg_stroke: Stroke::new(1.2, text),
        expansion: 0.0,
    };
    let widgets = &mut visuals.widgets;
    widgets.noninteractive = widget(PANEL, LINE, TEXT);
    widgets.inactive = widget(BUTTON, BUTTON, TEXT);
    widgets.hovered = widget(
        Color32::from_rgb(46, 53, 64),
        Color32::from_rgb(70, 80, 96),
        STRONG,
    );
    widgets.active = widget(Color32::from_rgb(40, 76, 108), ACCENT, STRONG);
    widgets.open = widget(Color32::from_rgb(46, 53, 64), LINE, STRONG);
    visuals.weak_text_color = Some(WEAK);
    visuals.selection.bg_fill = Color32::from_rgb(33, 66, 96);
    visuals.selection.stroke = Stroke::new(1.0, STRONG);
    visuals.hyperlink_color = ACCENT;
    visuals.warn_fg_color = CARE;
    visuals.error_fg_color = BAD;
    visuals.faint_bg_color = Color32::from_rgb(26, 30, 37);
    visuals.extreme_bg_color = WELL;
    visuals.panel_fill = PANEL;
    visuals.window_fill = Color32::from_rgb(25, 29, 36);
    visuals.window_stroke = Stroke::new(1.0, LINE);
    visuals.window_corner_radius = CornerRadius::same(8);
    visuals.menu_corner_radius = CornerRadius::same(6);
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = HandleShape::Circle;
    visuals
}

/// Frame of a side panel.
pub fn panel_frame() -> Frame {
    Frame::new()
        .fill(PANEL)
        .inner_margin(Margin::symmetric(10, 7))
}

/// Draws a section heading.
pub fn section(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).small().strong().color(WEAK));
}

/// Draws a badge with rounded corners.
pub fn badge(ui: &mut Ui, text: &str, colour: Color32) -> Response {
    let galley = ui
        .painter()
        .layout_no_wrap(text.to_owned(), FontId::proportional(13.0), colour);
    let size = galley.size() + Vec2::new(16.0, 6.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let radius = CornerRadius::same(u8::MAX);
    let (fill, line) = (colour.gamma_multiply(0.14), colour.gamma_multiply(0.55));
    ui.painter().rect(
        rect,
        radius,
        fill,
        Stroke::new(1.0, line),
        StrokeKind::Inside,
    );
    ui.painter()
        .galley(rect.min + Vec2::new(8.0, 3.0), galley, colour);
    response
}

/// Draws the name of a key as a key cap.
pub fn key_cap(ui: &mut Ui, key: &str) -> Response {
    let galley = ui
        .painter()
        .layout_no_wrap(key.to_owned(), FontId::monospace(11.0), TEXT);
    let size = Vec2::new((galley.size().x + 9.0).max(18.0), 17.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    ui.painter().rect(
        rect,
        CornerRadius::same(3),
        BUTTON,
        Stroke::new(1.0, Color32::from_rgb(66, 74, 88)),
        StrokeKind::Inside,
    );
    let at = rect.center() - 0.5 * galley.size();
    ui.painter().galley(at, galley, TEXT);
    response
}

/// Builder of one line of text; numbers are monospaced so that the line keeps its width.
#[derive(Default)]
pub struct Line(LayoutJob);

impl Line {
    /// Appends secondary text.
    pub fn text(self, text: &str) -> Line {
        self.push(text, FontId::proportional(13.0), WEAK)
    }

    /// Appends a name in a colour.
    pub fn name(self, text: &str, colour: Color32) -> Line {
        self.push(text, FontId::proportional(13.0), colour)
    }

    /// Appends a number.
    pub fn number(self, text: &str) -> Line {
        self.push(text, FontId::monospace(12.5), TEXT)
    }

    fn push(mut self, text: &str, font_id: FontId, color: Color32) -> Line {
        let format = TextFormat {
            font_id,
            color,
            valign: Align::Center,
            ..TextFormat::default()
        };
        self.0.append(text, 0.0, format);
        self
    }

    /// Returns the layout job for a label.
    pub fn job(self) -> LayoutJob {
        self.0
    }
}
