//! Pure: paths that pass and paths that do not, as tables.

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
