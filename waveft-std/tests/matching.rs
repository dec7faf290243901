//! Which modules are adapted, against PEFT's own choices.

use std::time::Duration;

use serde_json::{Value, json};
use waveft_std::Error;
use waveft_std::config::AdapterConfig;
use waveft_std::target_modules::{ModuleShape, SelectedModule, select_modules};

#[test]
fn every_golden_case_is_decided_as_peft_does() {
    let goldens: Value = serde_json::from_str(include_str!("data/matching.json")).unwrap();
    let mut refused = 0;
    let mut selected = 0;
    for case in goldens["cases"].as_array().unwrap() {
        let found = select(case["config"].clone(), &shapes(&case["modules"]));
        let is_all_linear = case["config"]["target_modules"]
            .as_str()
            .is_some_and(|word| word.to_lowercase() == "all-linear");
        if case["expected"]["error"].is_string() || is_all_linear {
            let error = found.expect_err(&format!("{case}"));
            assert!(!error.to_string().contains('\n'), "{error}");
            refused += 1;
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("{error}: {case}"));
        let found = found
            .iter()
            .map(|module| (module.path.clone(), json!(module.n_frequency)));
        assert_eq!(&Value::Object(found.collect()), &case["expected"], "{case}");
        selected += 1;
    }
    assert!(
        refused > 20 && selected > 50,
        "{refused} refused, {selected} selected"
    );
}

#[test]
fn order_is_that_of_the_modules() {
    let modules = [shape("b.q", 2, 2), shape("a.q", 2, 2), shape("c.q", 2, 2)];
    let selected = select(json!({"n_frequency": 1, "target_modules": ["q"]}), &modules).unwrap();
    let paths: Vec<_> = selected.iter().map(|module| module.path.as_str()).collect();
    assert_eq!(paths, ["b.q", "a.q", "c.q"]);
}

#[test]
fn heads_of_a_task_are_left_out() {
    let modules = [
        shape("bert.q", 4, 4),
        shape("classifier.q", 4, 4),
        shape("qa_outputs.q", 4, 4),
    ];
    let paths = |task: Value| -> Vec<String> {
        let config = json!({"n_frequency": 1, "target_modules": ["q"], "task_type": task});
        let selected = select(config, &modules).unwrap();
        selected.into_iter().map(|module| module.path).collect()
    };
    assert_eq!(paths(json!(null)).len(), 3);
    assert_eq!(paths(json!("CAUSAL_LM")).len(), 3);
    assert_eq!(paths(json!("SEQ_CLS")), ["bert.q", "qa_outputs.q"]);
    assert_eq!(paths(json!("TOKEN_CLS")), ["bert.q", "qa_outputs.q"]);
    assert_eq!(paths(json!("QUESTION_ANS")), ["bert.q", "classifier.q"]);
}

#[test]
fn a_regular_expression_matches_whole_paths() {
    let modules = [
        shape("a.q", 2, 2),
        shape("a.q_proj", 2, 2),
        shape("b.a.q", 2, 2),
    ];
    let paths = |target: &str, excluded: &str| -> Vec<String> {
        let config =
            json!({"n_frequency": 1, "target_modules": target, "exclude_modules": excluded});
        let selected = select(config, &modules).unwrap();
        selected.into_iter().map(|module| module.path).collect()
    };
    assert_eq!(paths("a.q", ""), ["a.q"]);
    // The first alternative matches a part only, so the second has its turn.
    assert_eq!(paths("a.q|a.q_proj", ""), ["a.q", "a.q_proj"]);
    assert_eq!(paths(r".*\.q\w*", "a.q"), ["a.q_proj", "b.a.q"]);
}

#[test]
fn the_first_layer_index_counts() {
    let modules = [
        shape("a.layers.1.layers.0.q", 2, 2),
        shape("layers.0.layers.1.q", 2, 2),
    ];
    for pattern in [json!("layers"), json!(["h", "layers"])] {
        let config = json!({
            "n_frequency": 1, "target_modules": ["q"], "layers_to_transform": 1, "layers_pattern": pattern
        });
        let selected = select(config, &modules).unwrap();
        let paths: Vec<_> = selected.iter().map(|module| module.path.as_str()).collect();
        assert_eq!(paths, ["a.layers.1.layers.0.q"]);
    }
}

#[test]
fn a_module_to_save_is_named_by_whole_components() {
    let modules = [
        shape("score.q", 2, 2),
        shape("score_2.q", 2, 2),
        shape("my_score.q", 2, 2),
        shape("a.score.b.q", 2, 2),
    ];
    let config = json!({"n_frequency": 1, "target_modules": ["q"], "modules_to_save": ["score"]});
    let selected = select(config, &modules).unwrap();
    let paths: Vec<_> = selected.iter().map(|module| module.path.as_str()).collect();
    assert_eq!(paths, ["score_2.q", "my_score.q"]);
}

#[test]
fn errors_tell_what_was_expected() {
    let modules = [shape("a.q", 3, 4)];
    let error = |config| select(config, &modules).unwrap_err().to_string();
    assert_eq!(
        error(json!({"n_frequency": 13, "target_modules": ["q"]})),
        r#"adapter_config.json: module "a.q": expected n_frequency of at most 3 x 4 = 12, found 13"#
    );
    assert_eq!(
        error(json!({"n_frequency": 1, "target_modules": ["v"]})),
        "adapter_config.json: \"target_modules\": expected a module that it matches and neither exclude_modules nor \
         modules_to_save leaves out, found none among 1 linear modules"
    );
    assert_eq!(
        error(json!({"n_frequency": 1, "target_modules": ["a"]})),
        "adapter_config.json: module \"a\": expected a linear module where \"target_modules\" matches, found one that \
         contains others"
    );
    assert!(
        error(json!({"target_modules": "a)|(b"}))
            .contains("expected a valid regular expression, found \"a)|(b\": ")
    );
    assert!(
        error(json!({"target_modules": "All-Linear"}))
            .contains("which a checkpoint alone cannot resolve")
    );
    assert!(error(json!({})).contains("expected module names or a regular expression, found none"));
}

#[test]
fn zero_sized_modules_are_refused() {
    let config = json!({"n_frequency": 1, "target_modules": ["q"]});
    for proportional in [false, true] {
        let mut config = config.clone();
        config["proportional_parameters"] = proportional.into();
        let error = select(config, &[shape("a.q", 0, 4)]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("expected n_frequency of at most 0 x 4 = 0, found 1"),
            "{error}"
        );
    }
}

#[test]
fn counts_of_enormous_modules_do_not_overflow() {
    let most = usize::MAX;
    let modules = [shape("a.q", most, most), shape("b.q", most, most)];
    let config = json!({"n_frequency": usize::MAX, "target_modules": ["q"], "proportional_parameters": true});
    let selected = select(config, &modules).unwrap();
    assert!(
        selected
            .iter()
            .all(|module| module.n_frequency == usize::MAX)
    );
}

#[test]
fn a_catastrophic_regular_expression_is_given_up() {
    // Exponential in the path's length, but for the limit; the lookahead keeps it from an engine without steps back.
    let path = format!("{}!", "a".repeat(200));
    let modules = [shape(&path, 4, 4)];
    for key in ["target_modules", "exclude_modules"] {
        let mut config = json!({"n_frequency": 1, "target_modules": ["q"]});
        config[key] = json!(r"(?:(?=a)(?:a|a)+)+b");
        let modules = modules.clone();
        let error = within_a_minute(move || select(config, &modules).unwrap_err());
        assert!(
            matches!(error, Error::Config { key: ref found, .. } if found == key),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("expected a regular expression that can be matched"),
            "{error}"
        );
    }
}

#[test]
fn unreasonable_regular_expressions_are_refused() {
    let modules = [shape("a.q", 4, 4)];
    let nested = "(".repeat(100_000) + "a" + &")".repeat(100_000);
    for regex in [nested.as_str(), "[", r"(?P<x", r"\1(a)\3", "*"] {
        for key in ["target_modules", "exclude_modules"] {
            let mut config = json!({"n_frequency": 1, "target_modules": ["q"]});
            config[key] = json!(regex);
            let short = &regex[..regex.len().min(20)];
            let error = select(config, &modules).expect_err(&format!("{key}: {short}"));
            assert!(
                matches!(error, Error::Config { key: ref found, .. } if found == key),
                "{error}"
            );
        }
        for (key, value) in [
            ("modules_to_save", json!([regex])),
            ("n_frequency_pattern", json!({regex: 1})),
            ("layers_pattern", json!([regex])),
        ] {
            let mut config =
                json!({"n_frequency": 1, "target_modules": ["q"], "layers_to_transform": [0]});
            config[key] = value;
            let error = select(config, &modules)
                .expect_err(&format!("{key}: {}", &regex[..regex.len().min(20)]));
            assert!(
                matches!(error, Error::Config { key: ref found, .. } if found == key),
                "{error}"
            );
        }
    }
}

#[test]
fn a_huge_regular_expression_is_refused_or_harmless() {
    for regex in [
        "a{1000}{1000}{1000}",
        "(a{9999}|b){9999}.*",
        r"(?:\w{50}\w{50}){50}(?=x)",
    ] {
        let modules = [shape("a.q", 4, 4)];
        let config = json!({"n_frequency": 1, "target_modules": ["q"], "exclude_modules": regex});
        let selected = within_a_minute(move || select(config, &modules));
        assert!(selected.map_or(1, |selected| selected.len()) == 1);
    }
}

/// The result of `run`, which must not take more than any sane limit allows.
fn within_a_minute<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(run()));
    receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("gives up within a minute")
}

fn select(mut config: Value, modules: &[ModuleShape]) -> Result<Vec<SelectedModule>, Error> {
    config["peft_type"] = json!("WAVEFT");
    select_modules(&AdapterConfig::parse(config.to_string())?, modules)
}

fn shapes(modules: &Value) -> Vec<ModuleShape> {
    let side = |module: &Value, key: &str| module[key].as_u64().unwrap() as usize;
    let modules = modules.as_array().unwrap().iter();
    modules
        .map(|module| {
            shape(
                module["path"].as_str().unwrap(),
                side(module, "out"),
                side(module, "in"),
            )
        })
        .collect()
}

fn shape(path: &str, out_features: usize, in_features: usize) -> ModuleShape {
    ModuleShape {
        path: path.to_owned(),
        out_features,
        in_features,
    }
}
