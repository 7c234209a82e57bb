pub(crate) fn fingerprint(_job: &str, _code: &str, _message: &str) -> String {
    "000000000000".to_owned()
}
