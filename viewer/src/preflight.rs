//! Preflight checks of display and graphics driver before the window is opened, so that a missing one is reported in one
//! line.

use bevy::render::settings::Backends;

/// Graphics adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Name of the device.
    pub name: String,
    /// True for software rendering on the CPU.
    pub software: bool,
    /// Graphics interfaces through which it was found; others are not tried again.
    pub backends: Backends,
}

/// Advice for a missing display: Debian packages to install.
const DISPLAY_HELP: &str = "start it in a desktop session with X11 or XWayland, or in a virtual one: \
     `apt-get install xvfb mesa-vulkan-drivers libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0`, then \
     `xvfb-run -s '-screen 0 1280x720x24' bitvla-view ...`";
/// Advice for a missing graphics driver.
const VULKAN_HELP: &str = "install the driver of the graphics card, or Mesa's, which can do without one: \
     `apt-get install mesa-vulkan-drivers libvulkan1`";

/// Checks that there is a display to open a window on.
///
/// # Errors
/// One line with what is missing and what to install.
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

/// Finds the graphics adapter: Vulkan (or the system's native interface) if there is one, else OpenGL.
///
/// # Errors
/// One line with what to install.
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

/// Turns the panic message of Bevy or winit into one line with advice.
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
