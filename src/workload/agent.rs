//! The parts of a pod for the agent: an init container that copies the program, a volume for it,
//! and a mount in each emptied container.

use serde_json::{Value, json};

/// Name of the init container and of the volume.
pub const AGENT: &str = "diyadm-agent";

/// The fields that the init container copies from the first emptied container, so that it passes
/// the same policies and quotas.
pub const AGENT_LIKE: [&str; 2] = ["securityContext", "resources"];

/// The init container, without [`AGENT_LIKE`].
pub fn agent_init_container(image: &str) -> Value {
    json!({
        "name": AGENT,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [diyadm_agent::IN_IMAGE, "install", diyadm_agent::FOLDER],
        "volumeMounts": [{ "name": AGENT, "mountPath": diyadm_agent::FOLDER }],
    })
}

/// The volume of the program.
pub fn agent_volume() -> Value {
    json!({ "name": AGENT, "emptyDir": {} })
}

/// The mount in each emptied container: read-only, since an emptyDir is writable for all, and every
/// exec runs its content.
pub fn agent_mount() -> Value {
    json!({ "name": AGENT, "mountPath": diyadm_agent::FOLDER, "readOnly": true })
}
