//! JSON schemas, generated from the types that read the files and write the outputs.

use anyhow::Result;
use schemars::{JsonSchema, generate::SchemaSettings, json_schema};

use super::schema::SchemaName;
use crate::{
    dev::{diff::Comparison, events::Event, project::Project, table},
    explain::Explained,
    operations::outcomes,
    pki::Facts,
    plan::WorkloadPlan,
    report::Report,
    status::Row,
    workload,
};

/// The schema as indented JSON, with a newline at its end.
pub(crate) fn text(name: SchemaName) -> Result<String> {
    let schema = match name {
        SchemaName::Project => of_file::<Project>(),
        SchemaName::Rules => of_file::<workload::RulesFile>(),
        SchemaName::Kinds => of_file::<workload::KindsFile>(),
        SchemaName::Events => of_output::<Event>(),
        SchemaName::Status => of_output::<Vec<Row>>(),
        SchemaName::Ps => of_output::<table::Pods>(),
        SchemaName::Diff => of_output::<Comparison>(),
        SchemaName::Plan => of_output::<Vec<WorkloadPlan>>(),
        SchemaName::Explain => of_output::<Vec<Explained>>(),
        SchemaName::Findings => of_output::<Report<'_>>(),
        SchemaName::Outcomes => of_output::<outcomes::Report<'_>>(),
        SchemaName::Certificates => of_output::<Vec<Facts>>(),
        SchemaName::Version => version(),
        SchemaName::Images => images(),
        SchemaName::Objects => objects(),
        SchemaName::Patch => patch(),
    };
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// Editors know draft 7 best.
fn of_file<T: JsonSchema>() -> schemars::Schema {
    SchemaSettings::draft07().for_deserialize().into_generator().into_root_schema_for::<T>()
}

fn of_output<T: JsonSchema>() -> schemars::Schema {
    SchemaSettings::draft07().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// In the form of kubectl's, whose other fields are the API server's.
fn version() -> schemars::Schema {
    json_schema!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Version",
        "type": "object",
        "properties": {
            "clientVersion": {
                "description": "This program.",
                "type": "object",
                "properties": {
                    "gitVersion": { "type": "string", "pattern": "^v[0-9]" },
                    "platform": { "type": "string" },
                    "agentProtocol": {
                        "description": "The version of the protocol to the agent in containers.",
                        "type": "integer",
                    },
                },
                "required": ["gitVersion", "agentProtocol"],
            },
        },
        "required": ["clientVersion"],
    })
}

fn images() -> schemars::Schema {
    json_schema!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Images",
        "type": "object",
        "properties": {
            "images": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "image": { "type": "string" },
                        "usedBy": {
                            "description": "The containers that have it.",
                            "type": "string",
                        },
                    },
                    "required": ["image", "usedBy"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["images"],
        "additionalProperties": false,
    })
}

/// Kubernetes' own schemas say the rest.
fn objects() -> schemars::Schema {
    json_schema!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Object",
        "description": "A Kubernetes object, or a List of several.",
        "type": "object",
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "items": { "type": "array", "items": { "$ref": "#" } },
        },
        "required": ["apiVersion", "kind"],
    })
}

fn patch() -> schemars::Schema {
    json_schema!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Patch",
        "description": "A JSON Patch (RFC 6902); from `mutate` with the object that it is for.",
        "definitions": {
            "operations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "op": { "enum": ["add", "remove", "replace", "test"] },
                        "path": { "type": "string" },
                        "value": {},
                    },
                    "required": ["op", "path"],
                },
            },
        },
        "anyOf": [
            { "$ref": "#/definitions/operations" },
            {
                "type": "object",
                "properties": {
                    "apiVersion": { "type": "string" },
                    "kind": { "type": "string" },
                    "namespace": { "type": "string" },
                    "name": { "type": "string" },
                    "patch": { "$ref": "#/definitions/operations" },
                },
                "required": ["kind", "name", "patch"],
            },
        ],
    })
}
