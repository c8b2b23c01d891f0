//! What a window needs is looked for before it is opened, so that a missing piece is one line.

use bevy::render::settings::Backends;

/// What pictures are drawn with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// Drawn by the processor.
    pub software: bool,
    /// Which interfaces it was found through; others are left alone.
    pub backends: Backends,
}

/// Packages that a bare Debian lacks, for a person to install.
const DISPLAY_HELP: &str = "start it in a desktop session with X11 or XWayland, or in a virtual one: \
     `apt-get install xvfb mesa-vulkan-drivers libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0`, then \
     `xvfb-run -s '-screen 0 1280x720x24' bitvla-view ...`";
const VULKAN_HELP: &str = "install the driver of the graphics card, or Mesa's, which can do without one: \
     `apt-get install mesa-vulkan-drivers libvulkan1`";

/// Whether there is a display to open a window on.
///
/// # Errors
/// One line that says what was looked for and what to install.
pub fn display() -> Result<(), String> {
    if cfg!(not(all(unix, not(target_vendor = "apple")))) {
        return Ok(());
    }
    let Some(name) = std::env::var_os("DISPLAY").filter(|d| !d.is_empty()) else {
        return Err(format!(
            "there is no display (DISPLAY is not set): {DISPLAY_HELP}"
        ));
    };
    match x11rb::connect(None) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "the display {} does not answer ({error}): {DISPLAY_HELP}",
            name.to_string_lossy()
        )),
    }
}

/// What pictures will be drawn with: Vulkan (or the system's own) if there is any, else OpenGL.
///
/// # Errors
/// One line that says what to install.
pub fn adapter() -> Result<Adapter, String> {
    let tried = match Backends::from_env() {
        Some(wanted) => vec![wanted],
        None => vec![Backends::PRIMARY, Backends::GL],
    };
    for backends in tried {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        if let Ok(adapter) = bevy::tasks::block_on(instance.request_adapter(&options)) {
            let info = adapter.get_info();
            return Ok(Adapter {
                software: info.device_type == wgpu::DeviceType::Cpu,
                name: info.name,
                backends,
            });
        }
    }
    Err(format!(
        "no graphics driver (Vulkan or OpenGL) was found: {VULKAN_HELP}"
    ))
}

/// One line for what Bevy or winit said as they gave up.
pub fn in_one_line(panic: &str) -> String {
    let line = panic.lines().next().unwrap_or_default();
    if panic.contains("GPU") {
        return format!("no graphics driver was found: {VULKAN_HELP}");
    }
    if panic.contains("event loop") || panic.contains("X11") || panic.contains(".so") {
        return format!("the window cannot be opened ({line}): {DISPLAY_HELP}");
    }
    line.to_owned()
}
