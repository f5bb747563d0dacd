//! What a browser sends when somebody presses a button: fields and files (HTML, form submission).

use bytes::Bytes;
use http::{HeaderMap, header};

/// Bytes of one form: the largest picture (32 MiB) beside the largest text, percent-encoded.
pub const FORM_BYTES_MAX: usize = 40 << 20;
/// Bytes of a form of somebody who is not signed in: a text that was typed into a session that ended, beside
/// a public key.
pub const STRANGERS_FORM_BYTES_MAX: usize = 6 << 20;
/// Fields of one form: ours have at most a dozen and two for each picture.
const FIELDS_MAX: usize = 500;

/// A form that was sent.
#[derive(Clone, Debug, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
    files: Vec<(String, Bytes)>,
    held_secret: bool,
}

/// How a secret key begins that somebody pasted in place of a public one.
const SECRET: &str = "BEGIN PGP PRIVATE KEY";
/// The fields into which people paste what gpg wrote.
const PASTED: [&str; 2] = ["key", "answer"];

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    /// When it has neither of the two forms in which browsers send them, or too many fields.
    pub async fn read(headers: &HeaderMap, body: Bytes) -> Result<Self, String> {
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("application/x-www-form-urlencoded") {
            return Self::urlencoded(&body);
        }
        let boundary = multer::parse_boundary(kind)
            .map_err(|_| "it is not sent as browsers send forms".to_owned())?;
        let whole = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
        let mut parts = multer::Multipart::new(whole, boundary);
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(|e| e.to_string())? {
            let name = part.name().unwrap_or_default().to_owned();
            let is_file = part.file_name().is_some();
            let bytes = part.bytes().await.map_err(|e| e.to_string())?;
            if is_file {
                form.files.push((name, bytes));
            } else {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                form.fields.push((name, text));
            }
            form.bounded()?;
        }
        Ok(form)
    }

    fn urlencoded(body: &[u8]) -> Result<Self, String> {
        let mut form = Self::default();
        for (name, value) in ammonia::url::form_urlencoded::parse(body) {
            form.fields.push((name.into_owned(), value.into_owned()));
            form.bounded()?;
        }
        Ok(form)
    }

    /// Empties what was pasted with a secret key in it, so that it goes no further than here. A post may
    /// speak of such keys.
    pub fn without_secrets(mut self) -> Self {
        for (name, value) in &mut self.fields {
            if PASTED.contains(&name.as_str()) && value.contains(SECRET) {
                value.clear();
                self.held_secret = true;
            }
        }
        self
    }

    /// Whether a field held a secret key.
    pub fn held_secret(&self) -> bool {
        self.held_secret
    }

    fn bounded(&self) -> Result<(), String> {
        if self.fields.len() + self.files.len() > FIELDS_MAX {
            return Err(format!("it has more than {FIELDS_MAX} fields"));
        }
        Ok(())
    }

    /// The first field of this name, with LF at the ends of lines; empty where there is none.
    pub fn text(&self, name: &str) -> String {
        let found = self.fields.iter().find(|(field, _)| field == name);
        let text = found.map(|(_, text)| text.as_str()).unwrap_or_default();
        text.replace("\r\n", "\n")
    }

    /// The same without blanks around it.
    pub fn word(&self, name: &str) -> String {
        self.text(name).trim().to_owned()
    }

    /// The first file of this name that is not empty.
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        let found = self.files.iter().find(|(field, _)| field == name);
        found
            .map(|(_, bytes)| bytes)
            .filter(|bytes| !bytes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    async fn read(kind: &str, body: &str) -> Result<Form, String> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_str(kind).expect("a type"),
        );
        Form::read(&headers, Bytes::from(body.to_owned())).await
    }

    const PLAIN: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn both_forms_are_read() {
        let form = read(PLAIN, "title=A+b%26c&body=x%0D%0Ay&title=z")
            .await
            .expect("read");
        assert_eq!(form.text("title"), "A b&c");
        assert_eq!(form.text("body"), "x\ny");
        assert_eq!(form.text("none"), "");
        let body = "--X\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nÄ\r\n--X\r\n\
                    Content-Disposition: form-data; name=\"picture\"; filename=\"../a.png\"\r\n\
                    Content-Type: image/png\r\n\r\nbytes\r\n--X--\r\n";
        let form = read("multipart/form-data; boundary=X", body)
            .await
            .expect("read");
        assert_eq!(form.text("title"), "Ä");
        assert_eq!(form.file("picture").map(|b| &b[..]), Some(&b"bytes"[..]));
        assert!(form.file("title").is_none());
    }

    #[tokio::test]
    async fn a_secret_key_goes_no_further() {
        let form = read(
            PLAIN,
            "key=+-----BEGIN+PGP+PRIVATE+KEY+BLOCK-----%0Ax&blog=maria",
        )
        .await;
        let form = form.expect("read").without_secrets();
        assert_eq!(
            (form.text("key"), form.text("blog")),
            (String::new(), "maria".into())
        );
        assert!(form.held_secret());
        let words = "key=-----BEGIN+PGP+PUBLIC+KEY&body=BEGIN+PGP+PRIVATE+KEY";
        let form = read(PLAIN, words).await;
        assert!(!form.expect("read").without_secrets().held_secret());
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        assert!(read("text/plain", "a=b").await.is_err());
        assert!(
            read("multipart/form-data; boundary=X", "--X\r\nhalf")
                .await
                .is_err()
        );
        let many = "a=b&".repeat(FIELDS_MAX + 1);
        assert!(read(PLAIN, &many).await.is_err());
        assert!(read(PLAIN, &"a=b&".repeat(FIELDS_MAX)).await.is_ok());
    }
}
