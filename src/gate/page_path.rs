//! Pure: which paths beside the API pass: the web interface's files and the console, by an
//! allow-list. What does not stand in it is not served.

/// What a path beside the API is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Page {
    /// The web interface begins at `/client/`; the client is sent there.
    Begin,
    /// A file of the web interface.
    File(String),
    /// The management server's own console servlet (`ConsoleProxyServlet`).
    Console,
}

/// Folders of the web interface's build, and the folder itself.
const FOLDERS: [&str; 8] = [
    "assets", "css", "js", "img", "fonts", "locales", "icons", "static",
];
/// Endings of files that a browser loads.
const ENDINGS: [&str; 23] = [
    "html",
    "json",
    "js",
    "mjs",
    "css",
    "less",
    "map",
    "ico",
    "svg",
    "png",
    "gif",
    "jpg",
    "jpeg",
    "webp",
    "woff",
    "woff2",
    "ttf",
    "otf",
    "eot",
    "txt",
    "xml",
    "webmanifest",
    "wasm",
];
/// Folders below each other; the interface has two.
const DEPTH_MAX: usize = 8;

/// What a path is; none where it is not in the list. A query is not part of it.
#[must_use]
pub fn page(path: &str) -> Option<Page> {
    match path {
        "/" | "/client" => return Some(Page::Begin),
        "/client/" => return Some(Page::File(path.to_owned())),
        "/client/console" => return Some(Page::Console),
        _ => {}
    }
    let inside = path.strip_prefix("/client/")?;
    let segments: Vec<&str> = inside.split('/').collect();
    let (file, folders) = segments.split_last()?;
    let in_folder = folders.first().is_none_or(|first| FOLDERS.contains(first));
    let is_plain = segments.len() <= DEPTH_MAX && segments.iter().all(|name| is_name(name));
    (in_folder && is_plain && has_ending(file)).then(|| Page::File(path.to_owned()))
}

/// Nothing that any server decodes, folds or hides.
fn is_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.len() <= 128
        && !name.contains("..")
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-~@+".contains(&b))
}

fn has_ending(file: &str) -> bool {
    let Some((_, ending)) = file.rsplit_once('.') else {
        return false;
    };
    ENDINGS.contains(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_web_interface_pass() {
        for path in [
            "/client/",
            "/client/index.html",
            "/client/config.json",
            "/client/cloud.ico",
            "/client/assets/logo.svg",
            "/client/js/chunk-vendors.0a1b2c3d.js",
            "/client/css/app.97d8e1.css",
            "/client/fonts/inter-latin.woff2",
            "/client/img/icons/favicon-32x32.png",
            "/client/locales/pt_BR.json",
        ] {
            assert_eq!(page(path), Some(Page::File(path.to_owned())), "{path}");
        }
        assert_eq!(page("/client/console"), Some(Page::Console));
        assert_eq!(page("/"), Some(Page::Begin));
        assert_eq!(page("/client"), Some(Page::Begin));
    }

    #[test]
    fn nothing_else_passes() {
        for path in [
            "",
            "/x",
            "//",
            "/client/api",
            "/client/api.json/x",
            "/client/apidocs/index.html",
            "/client/WEB-INF/web.xml",
            "/client/assets/../WEB-INF/web.xml",
            "/client/assets/./logo.svg",
            "/client/assets//logo.svg",
            "/client/assets/..;/logo.svg",
            "/client/assets/%2e%2e/logo.svg",
            "/client/assets/logo%2fx.svg",
            "/client/assets/logo.svg;jsessionid=x",
            "/client/assets/.htaccess.json",
            "/client/assets/\\..\\x.js",
            "/client/assets/",
            "/client/index.jsp",
            "/client/index",
            "/client/console/",
            "/client/console/api",
            "/client/Console",
            "/CLIENT/index.html",
            "/other/index.html",
            "/client/assets/a/b/c/d/e/f/g/h/i.js",
            "/client/assets/ſ.js",
        ] {
            assert_eq!(page(path), None, "{path}");
        }
    }
}
