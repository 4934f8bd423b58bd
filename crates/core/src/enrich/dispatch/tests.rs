//! The calls that are read off conditions: never too narrow, and whether the word SageMaker is needed.

use super::*;

fn calls(detection: &str) -> Calls {
    let yaml = format!("title: t\nlogsource:\n  product: aws\ndetection:\n{detection}");
    let collection = rsigma_parser::parse_sigma_yaml(&yaml).unwrap();
    assert!(collection.errors.is_empty(), "{:?}", collection.errors);
    Calls::of(&collection.rules[0].detection)
}

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn the_calls_of_a_rule_are_read_off_its_condition_and_never_too_narrow() {
    let cases = [
        (
            "  s:\n    eventSource: IAM.amazonaws.com\n    eventName: [CreateRole, 'UpdateRole']\n  condition: s",
            Some(BTreeSet::from([Source::Is("iam.amazonaws.com".to_owned())])),
            Some(set(&["createrole", "updaterole"])),
        ),
        (
            "  a:\n    eventName: A\n  b:\n    eventName: B\n  n:\n    x: 1\n  condition: (a or b) and not n",
            None,
            Some(set(&["a", "b"])),
        ),
        (
            "  a:\n    eventSource|contains: SageMaker\n    eventSource|endswith: .com\n  condition: a",
            Some(BTreeSet::from([Source::Contains("sagemaker".to_owned())])),
            None,
        ),
        ("  a:\n    eventSource|contains|all: [a, b]\n  condition: a", None, None),
        ("  a:\n    eventSource|contains: 'a*b'\n  condition: a", None, None),
        ("  a:\n    eventName: A\n  b:\n    x: B\n  condition: a or b", None, None),
        ("  a:\n    eventName: A\n  b:\n    x: B\n  condition: a and b", None, Some(set(&["a"]))),
        ("  a:\n    eventName: A\n  condition: not a", None, None),
        ("  a:\n    eventName|startswith: Create\n  condition: a", None, None),
        ("  a:\n    eventName: Create*\n  condition: a", None, None),
        ("  a:\n    - eventName: A\n    - eventName: B\n  condition: a", None, Some(set(&["a", "b"]))),
        (
            "  s_a:\n    eventName: A\n  s_b:\n    eventName: B\n  condition: 1 of s_*",
            None,
            Some(set(&["a", "b"])),
        ),
        ("  s_a:\n    eventName: A\n  s_b:\n    x: B\n  condition: all of them", None, Some(set(&["a"]))),
        ("  k:\n    - 'sagemaker'\n  condition: k", None, None),
        ("  a:\n    eventName: A\n  condition:\n    - a\n    - not a", None, None),
    ];
    for (detection, sources, names) in cases {
        let calls = calls(detection);
        assert_eq!((calls.sources, calls.names), (sources, names), "{detection}");
    }
}

#[test]
fn a_word_is_needed_where_every_way_to_match_has_one_in_a_value() {
    let cases: &[(&str, &[&str])] = &[
        ("  s:\n    x|endswith: '/SageMaker'\n  condition: s", &["/sagemaker\""]),
        ("  s:\n    x|contains|all: [execution, Sage]\n  condition: s", &["execution"]),
        ("  s:\n    x: my-sagemaker\n  n:\n    y: 1\n  condition: s and not n", &["my-sagemaker\""]),
        ("  s:\n    x|contains: [execution, sagemaker]\n  condition: s", &["execution", "sagemaker"]),
        ("  s:\n    x|startswith: 'arn:aws:iam::1/ml-*-runtime'\n  condition: s", &["-runtime"]),
        ("  s:\n    x: 'ml-*-runtime'\n  condition: s", &["-runtime\""]),
        ("  s:\n    x: longest-of-all\n    y: short\n  condition: s", &["longest-of-all\""]),
        ("  s:\n    x: short\n  t:\n    y: longest-of-all\n  condition: s and t", &["longest-of-all\""]),
        ("  s:\n    x|contains: sage*maker\n  condition: s", &["maker"]),
        ("  s:\n    x|contains: sagemaker\n  t:\n    y: 1\n  condition: s or t", &[]),
        ("  s:\n    x|contains: [sagemaker, 'abc']\n  condition: s", &[]),
        ("  s:\n    x: ['true', sagemaker]\n  condition: s", &[]),
        ("  s:\n    x: '123456789012'\n  condition: s", &[]),
        ("  s:\n    x|contains: sagemaker\n  condition: not s", &[]),
        ("  s:\n    x|re: 'sagemaker'\n  condition: s", &[]),
        ("  s:\n    x: '?*'\n  condition: s", &[]),
        ("  s:\n    userIdentity.type: AssumedRole\n  condition: s", &[]),
        ("  s:\n    sagemaker.lifecycle.script|contains: sagemaker\n  condition: s", &[]),
    ];
    for (detection, words) in cases {
        let expected = if words.is_empty() { Evidence::Call } else { Evidence::CallAndWord(set(words)) };
        assert_eq!(calls(detection).evidence, expected, "{detection}");
    }
}

#[test]
fn words_of_two_rules_add_up_and_one_that_needs_none_is_enough() {
    let of = |words: &[&str]| Evidence::CallAndWord(set(words));
    assert_eq!(of(&["a"]).or(&of(&["b"])), of(&["a", "b"]));
    assert_eq!(of(&["a"]).or(&Evidence::Call), Evidence::Call);
    assert_eq!(Evidence::Call.or(&of(&["a"])), Evidence::Call);
}

#[test]
fn a_record_meets_only_rules_that_name_its_service_and_call_or_none() {
    let rules = [
        calls("  s:\n    eventName: [A, B]\n  condition: s"),
        calls("  s:\n    x: 1\n  condition: s"),
        calls("  s:\n    eventSource: [one.com, two.com]\n    eventName: b\n  condition: s"),
        calls("  s:\n    eventSource|contains: two\n  condition: s"),
        calls("  a:\n    eventSource: two.com\n  b:\n    eventSource|contains: w\n  condition: a or b"),
    ];
    let dispatch = Dispatch::new(&rules);
    let cases: &[(&str, &str, &[usize])] = &[
        ("one.com", "a", &[0, 1]),
        ("ONE.com", "B", &[0, 1, 2]),
        ("two.com", "b", &[0, 1, 2, 3, 4]),
        ("two.org", "c", &[1, 3, 4]),
        ("", "", &[1]),
    ];
    for (source, name, expected) in cases {
        assert_eq!(dispatch.candidates(source, name), *expected, "{source} {name}");
    }
}

#[test]
fn the_bytes_of_a_record_show_whether_a_rule_could_ask_for_it() {
    let rules = [
        calls("  s:\n    eventSource: iam.amazonaws.com\n    eventName: CreateRole\n  condition: s"),
        calls("  s:\n    eventSource: logs.amazonaws.com\n    eventName: DeleteLogGroup\n  condition: s"),
        calls("  s:\n    eventSource: sts.amazonaws.com\n  condition: s"),
        calls(
            "  s:\n    eventSource: sts.amazonaws.com\n    eventName: [AssumeRole, Assume]\n    x|contains: sagemaker\n  condition: s",
        ),
        calls("  s:\n    eventSource: sts.amazonaws.com\n    eventName: Assume\n  condition: s"),
    ];
    let dispatch = Dispatch::new(&rules);
    let cases = [
        (r#"{"eventSource":"sts.amazonaws.com","eventName":"Assume"}"#, true),
        (r#"{"eventSource":"sts.amazonaws.com","eventName":"AssumeRole","x":"a-SageMaker-b"}"#, true),
        (r#"{"eventSource":"sts.amazonaws.com","eventName":"AssumeRole","x":"\u0053ageMaker"}"#, true),
        (
            "{\"eventSource\":\"sts.amazonaws.com\",\"eventName\":\"AssumeRole\",\"x\":\"sagema\u{212a}er\"}",
            true,
        ),
        (r#"{"eventSource":"sts.amazonaws.com","eventName":"AssumeRole","x":"sage"}"#, false),
        (r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateRole"}"#, true),
        ("{\"eventName\" :\n \"createrole\", \"eventSource\": \"IAM.amazonaws.com\"}", true),
        (r#"{"eventSource":"iam.amazonaws.com","eventName":"DeleteLogGroup"}"#, false),
        (r#"{"eventSource":"iam.amazonaws.com","eventName":"CreateRoles"}"#, false),
        (r#"{"eventSource":"s3.amazonaws.com","eventName":"CreateRole"}"#, false),
        (r#"{"eventSource":"sts.amazonaws.com","eventName":"AssumeRole"}"#, false),
        (r#"{"eventSource":"\u0069am.amazonaws.com","eventName":"CreateRole"}"#, true),
        (r#"{"eventName":"CreateRole"}"#, false),
        (
            r#"{"eventSource":"iam.amazonaws.com","eventName":"DeleteLogGroup","x":{"eventSource":"ecs"}}"#,
            false,
        ),
        (r#"{"x":{"eventSource":"ecs"},"eventSource":"iam.amazonaws.com","eventName":"CreateRole"}"#, true),
        (r#"{"eventSource":"iam.amazonaws.com","eventName":"#, false),
        (r#"{"eventSource":"iam.amazonaws.com","x":{"eventName":"CreateRole"},"eventName":"Get"}"#, true),
    ];
    for (raw, expected) in cases {
        assert_eq!(dispatch.may_match_raw(raw.as_bytes(), &KnownNames::None, |_| false), expected, "{raw}");
        // One search for both decides as a search for each does.
        assert_eq!(dispatch.may_match_any(raw.as_bytes(), &KnownNames::None, |_| false), expected, "{raw}");
    }
}
