use super::*;

/// One mistake each, and where it must be found.
const MISTAKES: &[(&str, &str)] = &[
    // The sections themselves.
    ("- a", "1:1 AGX0005 "),
    ("rate_limit: {}", "1:1 AGX0003 rate_limit"),
    ("audit: 5", "1:8 AGX0005 audit"),
    (
        "audit: {}\naudit: { enabled: true, enabled: false }",
        "2:25 AGX0004 audit.enabled",
    ),
    ("audit: { enabled: yes }", "1:19 AGX0005 audit.enabled"),
    ("audit: { enabled: \"true\" }", "1:19 AGX0005 audit.enabled"),
    ("audit: { enabled: }", "1:10 AGX0006 audit.enabled"),
    ("audit: { ? [a] : b }", "1:12 AGX0016 "),
    ("audit: { enabled: !on true }", "1:23 AGX0016 "),
    ("audit: *nothing", "1:8 AGX0016 "),
    ("audit: &a { enabled: *a }", "1:22 AGX0016 "),
    ("audit: { <<: 5 }", "1:14 AGX0005 "),
    // Syntax.
    ("audit: { enabled: true", "1:8 AGX0001 "),
    ("audit:\n\tenabled: true", "2:2 AGX0001 "),
    ("audit: a: b", "1:9 AGX0001 "),
    ("audit: \"open", "1:8 AGX0001 "),
    ("%YAML 1.2\n---\naudit: {}", "1:1 AGX0001 "),
    // Limits.
    ("rate_limits: { a b: {} }", "1:16 AGX0007 rate_limits.a b"),
    ("rate_limits: { a: 5 }", "1:19 AGX0005 rate_limits.a"),
    (
        "rate_limits: { a: { requests_per_minute: 0 } }",
        "1:42 AGX0008 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: -1 } }",
        "1:42 AGX0008 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: 1.5 } }",
        "1:42 AGX0008 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: .nan } }",
        "1:42 AGX0008 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: -.inf } }",
        "1:42 AGX0008 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: 4294967296 } }",
        "1:42 AGX0008 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: 1e400 } }",
        "1:42 AGX0008 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: 0x10 } }",
        "1:42 AGX0008 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: \"5\" } }",
        "1:42 AGX0005 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: five } }",
        "1:42 AGX0005 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: [5] } }",
        "1:42 AGX0005 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { requests_per_minute: ~ } }",
        "1:42 AGX0006 rate_limits.a.requests_per_minute",
    ),
    (
        "rate_limits: { a: { on_outage: maybe } }",
        "1:32 AGX0010 rate_limits.a.on_outage",
    ),
    // Budgets.
    ("budgets: { a: {} }", "1:12 AGX0035 budgets.a"),
    ("budgets: { a: }", "1:12 AGX0035 budgets.a"),
    (
        "budgets: { a: { daily_limit_usd: 0 } }",
        "1:34 AGX0008 budgets.a.daily_limit_usd",
    ),
    (
        "budgets: { a: { daily_limit_usd: -1 } }",
        "1:34 AGX0008 budgets.a.daily_limit_usd",
    ),
    (
        "budgets: { a: { daily_limit_usd: 0.0000001 } }",
        "1:34 AGX0008 budgets.a.daily_limit_usd",
    ),
    (
        "budgets: { a: { daily_limit_usd: 99999999999 } }",
        "1:34 AGX0008 budgets.a.daily_limit_usd",
    ),
    (
        "budgets: { a: { daily_limit_usd: .inf } }",
        "1:34 AGX0008 budgets.a.daily_limit_usd",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, alert_at_percent: 0 } }",
        "1:55 AGX0008 budgets.a.alert_at_percent",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, alert_at_percent: 101 } }",
        "1:55 AGX0008 budgets.a.alert_at_percent",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, alert_at_percent: 79.5 } }",
        "1:55 AGX0008 budgets.a.alert_at_percent",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, alert_at_percent: [80, 101] } }",
        "1:60 AGX0008 budgets.a.alert_at_percent[1]",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, alert_at_percent: [80, 50, 80] } }",
        "1:64 AGX0008 budgets.a.alert_at_percent[2]",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, alert_at_percent: [1,2,3,4,5,6,7,8,9] } }",
        "1:55 AGX0017 budgets.a.alert_at_percent",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, alert_webhook: nobody } }",
        "1:52 AGX0040 budgets.a.alert_webhook",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, callback_url: https://h, scheme: gitlab } } }",
        "1:77 AGX0010 webhooks.definitions.w.scheme",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, callback_url: https://h, max_attempts: 0 } } }",
        "1:83 AGX0008 webhooks.definitions.w.max_attempts",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, callback_url: https://h, tolerance: 0s } } }",
        "1:80 AGX0009 webhooks.definitions.w.tolerance",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, callback_url: https://h, callback_retries: 5s } } }",
        "1:87 AGX0005 webhooks.definitions.w.callback_retries",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, model: gpt-4o, prompt_template: 'Ü {{.Paylod}}' } } }",
        "1:81 AGX0041 webhooks.definitions.w.prompt_template[1:5]",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, timezone: Mars/Base } }",
        "1:47 AGX0013 budgets.a.timezone",
    ),
    (
        "budgets: { a: { daily_limit_usd: 1, enforcement: firm } }",
        "1:50 AGX0010 budgets.a.enforcement",
    ),
    // Failover.
    (
        "failover: { max_retries: 32 }",
        "1:26 AGX0008 failover.max_retries",
    ),
    (
        "failover: { max_retries: -1 }",
        "1:26 AGX0008 failover.max_retries",
    ),
    (
        "failover: { same_model_retries: 9 }",
        "1:33 AGX0008 failover.same_model_retries",
    ),
    (
        "failover: { max_cost_ratio: 0 }",
        "1:29 AGX0008 failover.max_cost_ratio",
    ),
    (
        "failover: { max_cost_ratio: 1.0001 }",
        "1:29 AGX0008 failover.max_cost_ratio",
    ),
    (
        "failover: { timeouts: { connect: 5 } }",
        "1:34 AGX0009 failover.timeouts.connect",
    ),
    (
        "failover: { timeouts: { connect: 0s } }",
        "1:34 AGX0009 failover.timeouts.connect",
    ),
    (
        "failover: { timeouts: { connect: 25h } }",
        "1:34 AGX0009 failover.timeouts.connect",
    ),
    (
        "failover: { stream_rescue: on }",
        "1:28 AGX0010 failover.stream_rescue",
    ),
    (
        "failover: { chains: { gpt-4o: { stream_rescue: off } } }",
        "1:23 AGX0006 failover.chains.gpt-4o",
    ),
    (
        "failover: { chains: { gpt-4o: { targets: [o3], rescue: off } } }",
        "1:48 AGX0003 failover.chains.gpt-4o.rescue",
    ),
    (
        "failover: { min_throughput: { window: 5s } }",
        "1:13 AGX0006 failover.min_throughput",
    ),
    (
        "failover: { min_throughput: { tokens_per_second: 0 } }",
        "1:50 AGX0008 failover.min_throughput.tokens_per_second",
    ),
    (
        "failover: { breaker: { open: 9m } }",
        "1:13 AGX0009 failover.breaker.max_open",
    ),
    (
        "failover: { retry_budget: { percent: 101 } }",
        "1:38 AGX0008 failover.retry_budget.percent",
    ),
    (
        "failover: { drop_unsupported: maybe }",
        "1:31 AGX0005 failover.drop_unsupported",
    ),
    (
        "failover: { chains: { gpt-4o: [] } }",
        "1:23 AGX0031 failover.chains.gpt-4o",
    ),
    (
        "failover: { chains: { gpt-4o: o3 } }",
        "1:31 AGX0005 failover.chains.gpt-4o",
    ),
    (
        "failover: { chains: { gpt-4o: [gpt-4o] } }",
        "1:32 AGX0031 failover.chains.gpt-4o[0]",
    ),
    (
        "failover: { chains: { gpt-4o: [o3, o3] } }",
        "1:36 AGX0031 failover.chains.gpt-4o[1]",
    ),
    (
        "failover: { chains: { gpt-4o: [llama] } }",
        "1:32 AGX0032 failover.chains.gpt-4o[0]",
    ),
    (
        "failover: { chains: { llama: [o3] } }",
        "1:23 AGX0032 failover.chains.llama",
    ),
    (
        "failover: { chains: { gpt-4o: [nil/x] } }",
        "1:32 AGX0032 failover.chains.gpt-4o[0]",
    ),
    (
        "failover: { chains: { gpt-4o: [o1,o3,o4,o11,o12,o13,o14,o15,o16,o17,o18,o19,o31,o32,o33,o34,o35] } }",
        "1:23 AGX0031 failover.chains.gpt-4o",
    ),
    // Providers and models.
    (
        "providers: { x: { base_url: http://h } }",
        "1:14 AGX0006 providers.x",
    ),
    (
        "providers: { x: { api: bedrock } }",
        "1:24 AGX0015 providers.x.api",
    ),
    (
        "providers: { x: { api: opnai, base_url: http://h } }",
        "1:24 AGX0010 providers.x.api",
    ),
    (
        "providers: { x: { api: openai } }",
        "1:14 AGX0006 providers.x.base_url",
    ),
    (
        "providers: { x: { api: openai, base_url: h } }",
        "1:42 AGX0034 providers.x.base_url",
    ),
    (
        "providers: { x: { api: openai, base_url: \"file://${A}\" } }",
        "1:42 AGX0034 providers.x.base_url",
    ),
    (
        "providers: { x: { api: openai, base_url: \"http://${A\" } }",
        "1:42 AGX0011 providers.x.base_url",
    ),
    (
        "providers: { x: { api: openai, base_url: http://h, api_key: { fiel: x } } }",
        "1:63 AGX0003 providers.x.api_key.fiel",
    ),
    (
        "providers: { openai: { headers: { Host: x } } }",
        "1:41 AGX0036 providers.openai.headers.Host",
    ),
    (
        "providers: { openai: { headers: { X-A: x, x-a: y } } }",
        "1:48 AGX0036 providers.openai.headers.x-a",
    ),
    (
        "providers: { openai: { headers: { \"a b\": x } } }",
        "1:42 AGX0036 providers.openai.headers.a b",
    ),
    (
        "providers: { openai: { api_key: \"a\\nb\" } }",
        "1:33 AGX0036 providers.openai.api_key",
    ),
    (
        "providers: { openai: { simulate: { outcomes: [ok] } } }",
        "1:24 AGX0039 providers.openai.simulate",
    ),
    (
        "providers: { s: { api: simulated, simulate: { outcomes: [] } } }",
        "1:57 AGX0039 providers.s.simulate.outcomes",
    ),
    (
        "providers: { s: { api: simulated, simulate: { outcomes: [200] } } }",
        "1:58 AGX0008 providers.s.simulate.outcomes[0]",
    ),
    (
        "providers: { s: { api: simulated, simulate: { outcomes: [ok, fine] } } }",
        "1:62 AGX0010 providers.s.simulate.outcomes[1]",
    ),
    (
        "models: { gpt-4o: { simulate: {} } }",
        "1:21 AGX0039 models.gpt-4o.simulate",
    ),
    (
        "models: { x: { provider: nil } }",
        "1:26 AGX0033 models.x.provider",
    ),
    (
        "models: { x: { max_output_tokens: 5 } }",
        "1:11 AGX0006 models.x",
    ),
    (
        "models: { gpt-4o: { price: { input: 1 } } }",
        "1:21 AGX0006 models.gpt-4o.price",
    ),
    (
        "models: { gpt-4o: { price: { input: 1, output: 0.0000001 } } }",
        "1:48 AGX0008 models.gpt-4o.price.output",
    ),
    (
        "pricing: { unknown_model: free }",
        "1:27 AGX0010 pricing.unknown_model",
    ),
    // Agents.
    (
        "agents: { a: { keys: [sha256:12] } }",
        "1:23 AGX0014 agents.a.keys[0]",
    ),
    (
        "agents: { a: { models: [llama] } }",
        "1:25 AGX0032 agents.a.models[0]",
    ),
    (
        "agents: { a: { models: [\"a b\"] } }",
        "1:25 AGX0007 agents.a.models[0]",
    ),
    (
        "identity: { default_agent: \"a b\" }",
        "1:28 AGX0007 identity.default_agent",
    ),
    // Webhooks.
    (
        "webhooks: { definitions: { w: { callback_url: http://h } } }",
        "1:28 AGX0006 webhooks.definitions.w",
    ),
    (
        "webhooks: { definitions: { w: { secret: s } } }",
        "1:28 AGX0038 webhooks.definitions.w",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, model: gpt-4o } } }",
        "1:51 AGX0038 webhooks.definitions.w.model",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, prompt_template: x } } }",
        "1:61 AGX0038 webhooks.definitions.w.prompt_template",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, model: llama, prompt_template: x } } }",
        "1:51 AGX0032 webhooks.definitions.w.model",
    ),
    (
        "webhooks: { definitions: { w: { secret: s, callback_url: nowhere } } }",
        "1:58 AGX0034 webhooks.definitions.w.callback_url",
    ),
    (
        "webhooks: { definitions: { w: { secret: \"secret:sha256:0123456789ab\", callback_url: http://h } } }",
        "1:41 AGX0012 webhooks.definitions.w.secret",
    ),
    (
        "webhooks: { definitions: { w: { secret: \"\", callback_url: http://h } } }",
        "1:41 AGX0006 webhooks.definitions.w.secret",
    ),
    // Observation.
    (
        "tracing: { sample_rate: 1.1 }",
        "1:25 AGX0008 tracing.sample_rate",
    ),
    (
        "tracing: { sample_rate: -0.1 }",
        "1:25 AGX0008 tracing.sample_rate",
    ),
];

#[test]
fn each_mistake_is_found_where_it_is() {
    let mut wrong = Vec::new();
    for (text, expected) in MISTAKES {
        let found = errors(text);
        if found != [*expected] {
            wrong.push(format!("{text}\n  expected {expected}\n  found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn eight_mistakes_are_eight_errors() {
    let text = include_str!("../../../../testdata/documents/eight.yaml");
    let expected = include_str!("../../../../testdata/documents/eight.txt");
    let diagnostics = read_files(&[file("eight.yaml", text)]).unwrap_err();
    let errors: Vec<Diagnostic> = diagnostics
        .into_iter()
        .filter(|one| one.severity == Severity::Error)
        .collect();
    assert_eq!(errors.len(), 8);
    assert_eq!(render(&errors, false), expected);
}

#[test]
fn all_files_are_reported_in_their_order() {
    let files = [
        file("a.yaml", "audit: { enabled: 1 }\nrate_limits: { a: {} }"),
        file("b.yaml", "audit: {\n"),
        file("c.yaml", "audit: { enabled: 2 }\nrate_limits: { a: {} }"),
    ];
    let diagnostics = read_files(&files).unwrap_err();
    let found: Vec<(&str, &str)> = diagnostics
        .iter()
        .map(|one| (one.file.as_str(), one.code.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("a.yaml", "AGX0005"),
            ("b.yaml", "AGX0001"),
            ("c.yaml", "AGX0004"),
            ("c.yaml", "AGX0004")
        ]
    );
    let help = diagnostics.last().and_then(|one| one.help.as_deref());
    assert_eq!(help, Some("it is first set at a.yaml:2:16"));
}

#[test]
fn a_broken_provider_does_not_make_its_models_wrong() {
    let text = "providers: { mine: { api: opnai } }\n\
                models: { m: { provider: mine, price: {} }, n: { provider: mine } }\n\
                failover: { chains: { m: [n, \"a b\", llama, m] } }";
    assert_eq!(
        errors(text),
        [
            "1:27 AGX0010 providers.mine.api",
            "2:32 AGX0006 models.m.price",
            "2:32 AGX0006 models.m.price",
            "3:30 AGX0007 failover.chains.m[1]",
            "3:37 AGX0032 failover.chains.m[2]",
            "3:44 AGX0031 failover.chains.m[3]",
        ]
    );
}

#[test]
fn nearby_names_are_proposed() {
    for (text, proposal) in [
        ("providres: {}", "providers"),
        ("audit: { enabeld: true }", "enabled"),
        ("providers: { opnai: {} }", "openai"),
        ("providers: { x: { api: anthropci } }", "anthropic"),
        ("models: { x: { provider: antropic } }", "anthropic"),
        (
            "failover: { chains: { gpt-4o: [claud-opus-4-6] } }",
            "claude-opus-4-6",
        ),
        ("failover: { chains: { gpt-4o: [opneai/x] } }", "openai/x"),
        (
            "models: { fast: { provider: openai } }\nfailover: { chains: { gpt-4o: [fats] } }",
            "fast",
        ),
        (
            "budgets: { a: { daily_limit_usd: 1, enforcement: sfot } }",
            "soft",
        ),
    ] {
        let diagnostics = read_text(text).unwrap_err();
        let help = diagnostics.iter().filter_map(|one| one.help.as_deref());
        let found: Vec<&str> = help.collect();
        let wanted = format!("`{proposal}`?");
        assert!(
            found.iter().any(|help| help.ends_with(&wanted)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn an_endless_list_of_errors_is_cut() {
    use std::fmt::Write;
    let mut text = String::from("rate_limits:\n");
    for index in 0..1_000 {
        writeln!(text, "  a{index}: {{ requests_per_minute: 0 }}").unwrap();
    }
    let diagnostics = read_text(&text).unwrap_err();
    assert_eq!(diagnostics.len(), crate::limits::POLICY_ERRORS + 1);
    let last = diagnostics.last().unwrap();
    assert_eq!(last.message, "800 further errors are not shown");
    assert_eq!(summary(&diagnostics), "more than 200 errors");
}

#[test]
fn one_mistake_behind_many_aliases_is_one_error() {
    let text = "rate_limits: { a: &a { max_concurrent: 0 }, b: *a, c: *a }";
    assert_eq!(errors(text), ["1:40 AGX0008 rate_limits.a.max_concurrent"]);
}

#[test]
fn a_key_belongs_to_one_agent() {
    let key = format!("sha256:{}", "ab".repeat(32));
    let text = format!("agents:\n  a: {{ keys: [{key}] }}\n  b: {{ keys: [{key}] }}\n");
    assert_eq!(errors(&text), ["3:15 AGX0037 agents.b.keys[0]"]);
}

#[test]
fn a_mistake_in_a_template_is_found_where_it_is_written() {
    let text = "\
webhooks:
  definitions:
    w:
      secret: s
      model: gpt-4o
      prompt_template: |
        {{.Payload}} {{.Payload}} {{ .Paylod }}

        At {{.AgentName}}
        {{index .Headers \"X-Id\" {{.Timestamp}}
    v:
      secret: s
      model: gpt-4o
      prompt_template: \"{{ Payload Payload }}\"
";
    assert_eq!(
        errors(text),
        [
            "7:38 AGX0041 webhooks.definitions.w.prompt_template[1:30]",
            "9:14 AGX0041 webhooks.definitions.w.prompt_template[3:6]",
            "10:33 AGX0041 webhooks.definitions.w.prompt_template[4:25]",
            "14:25 AGX0041 webhooks.definitions.v.prompt_template[1:1]",
        ]
    );
    let errors = read_text(text).unwrap_err();
    let shown = render(&errors, false);
    assert!(
        shown.contains("there is no field `.Paylod`")
            && shown
                .contains("the fields are `.Payload`, `.Headers`, `.Timestamp`, `.WebhookName`")
            && shown.contains("is a field of budget alerts only"),
        "{shown}"
    );
}
