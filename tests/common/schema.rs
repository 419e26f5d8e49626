//! The record's JSON against its schema.

use serde_json::Value;

/// Checks a value against the part of JSON schema that ours uses; any other keyword is a panic.
fn validate(schema: &Value, value: &Value, root: &Value, path: &str) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" => true,
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
                validate(target, value, root, path);
                true
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => {
                let one = std::slice::from_ref(rule);
                let types = rule.as_array().map_or(one, |types| &types[..]);
                types.iter().any(|t| has_type(value, t.as_str().unwrap()))
            }
            "minimum" => value.as_f64().is_none_or(|x| x >= rule.as_f64().unwrap()),
            "required" => {
                !value.is_object()
                    || rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some())
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        validate(rule, value, root, &format!("{path}/{key}"));
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, false);
                value
                    .as_object()
                    .is_none_or(|object| object.keys().all(|key| schema["properties"].get(key).is_some()))
            }
            "items" => {
                for (i, item) in value.as_array().unwrap().iter().enumerate() {
                    validate(rule, item, root, &format!("{path}/{i}"));
                }
                true
            }
            other => panic!("the keyword {other} is not checked"),
        };
        assert!(holds, "{path}: {keyword} {rule} does not hold of {value}");
    }
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("the type {other} is not checked"),
    }
}

/// The record, once it is known to keep to our schema.
pub fn valid(json: &[u8]) -> Value {
    let schema: Value = serde_json::from_str(asyncsgd::report::SCHEMA).unwrap();
    let record = serde_json::from_slice(json).unwrap();
    validate(&schema, &record, &schema, "");
    record
}
