// What a management server would make of a request: Jetty 9.4 set up as CloudStack's ServerDaemon
// does, and CloudStack's way from a request to a command, in our own words (ApiServlet: parameters
// of query and form, then the query again, raw; ApiServer.verifyRequest: sorted, matched without
// case, signed; ParamUnpackWorker: names lower-cased in the order of a HashMap).
//
//   java Oracle.java serve SECRET       prints its port, answers each call with what it would run
//   java Oracle.java sign COUNT SEED    prints so many signed maps with CloudStack's verdict

import java.io.IOException;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.server.ForwardedRequestCustomizer;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.gzip.GzipHandler;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

public class Oracle extends HttpServlet {
    private final String secret;

    Oracle(String secret) {
        this.secret = secret;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("sign")) {
            sign(Integer.parseInt(arguments[1]), Long.parseLong(arguments[2]));
        } else {
            serve(arguments[1]);
        }
    }

    static void serve(String secret) throws Exception {
        Server server = new Server();
        HttpConfiguration http = new HttpConfiguration();
        http.setRequestHeaderSize(8192);
        http.setResponseHeaderSize(8192);
        http.setSendServerVersion(false);
        http.setSendDateHeader(false);
        http.addCustomizer(new ForwardedRequestCustomizer());
        ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(http));
        connector.setHost("127.0.0.1");
        connector.setPort(0);
        connector.setIdleTimeout(30000);
        server.addConnector(connector);
        ServletContextHandler context =
            new ServletContextHandler(ServletContextHandler.SESSIONS);
        context.setContextPath("/client");
        context.setMaxFormContentSize(1048576);
        context.setMaxFormKeys(5000);
        context.addServlet(new ServletHolder(new Oracle(secret)), "/api/*");
        GzipHandler gzip = new GzipHandler();
        // Its answers are read as they are.
        gzip.setMinGzipSize(1 << 20);
        gzip.setHandler(context);
        server.setHandler(gzip);
        server.start();
        System.out.println(connector.getLocalPort());
        // It ends with whoever holds its input.
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0);
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
        run(request, response);
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
        run(request, response);
    }

    private void run(HttpServletRequest request, HttpServletResponse response)
        throws IOException {
        StringBuilder told = new StringBuilder();
        try {
            Map<String, String[]> params = read(request);
            Judged judged = judge(params, secret, System.currentTimeMillis());
            line(told, "method", request.getMethod());
            line(told, "command", first(params, "command"));
            line(told, "apikey", judged.key);
            line(told, "computed", judged.computed);
            line(told, "verified", String.valueOf(judged.verified));
            line(told, "session", request.getRequestedSessionId());
            line(told, "remote", request.getRemoteAddr());
            line(told, "server", request.getServerName());
            told.append("map\t").append(lowered(params)).append('\n');
        } catch (RuntimeException fault) {
            told.setLength(0);
            line(told, "fault", fault.getClass().getSimpleName());
        }
        byte[] body = told.toString().getBytes(StandardCharsets.UTF_8);
        response.setContentType("text/plain;charset=utf-8");
        response.setContentLength(body.length);
        response.getOutputStream().write(body);
    }

    private static void line(StringBuilder told, String name, String value) {
        told.append(name).append('\t').append(value == null ? "" : escape(value)).append('\n');
    }

    /** Query and form together, then each name of the raw query again, the last one winning. */
    static Map<String, String[]> read(HttpServletRequest request) {
        Map<String, String[]> params = new HashMap<>(request.getParameterMap());
        if (request.getQueryString() == null) {
            return params;
        }
        for (String token : request.getQueryString().split("&")) {
            String[] parts = token.split("=", 2);
            if (parts.length == 2) {
                String name = URLDecoder.decode(parts[0], StandardCharsets.UTF_8);
                String value = URLDecoder.decode(parts[1], StandardCharsets.UTF_8);
                params.put(name, new String[] {value});
            }
        }
        return params;
    }

    static String first(Map<String, String[]> params, String name) {
        String[] values = params.get(name);
        return values == null ? null : values[0];
    }

    static class Judged {
        String key;
        String computed;
        boolean verified;
    }

    static Judged judge(Map<String, String[]> params, String secret, long now) {
        Judged judged = new Judged();
        List<String> names = new ArrayList<>(params.keySet());
        Collections.sort(names);
        String signature = null;
        String version = null;
        String expires = null;
        StringBuilder text = new StringBuilder();
        for (String name : names) {
            String value = params.get(name)[0];
            if ("signature".equalsIgnoreCase(name)) {
                signature = value;
                continue;
            }
            if ("apikey".equalsIgnoreCase(name)) {
                judged.key = value;
            } else if ("signatureversion".equalsIgnoreCase(name)) {
                version = value;
            } else if ("expires".equalsIgnoreCase(name)) {
                expires = value;
            }
            if (text.length() > 0) {
                text.append('&');
            }
            String encoded = URLEncoder.encode(value, StandardCharsets.UTF_8);
            text.append(name).append('=').append(encoded.replaceAll("\\+", "%20"));
        }
        judged.computed = mac(text.toString().toLowerCase(), secret);
        boolean inTime = !"3".equals(version) || inTime(expires, now);
        judged.verified = inTime && signature != null && signature.equals(judged.computed);
        return judged;
    }

    static String mac(String text, String secret) {
        try {
            Mac mac = Mac.getInstance("HmacSHA1");
            mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA1"));
            byte[] bytes = mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
            return Base64.getEncoder().encodeToString(bytes);
        } catch (java.security.GeneralSecurityException fault) {
            throw new IllegalStateException(fault);
        }
    }

    private static final DateTimeFormatter[] FORMS = {
        DateTimeFormatter.ISO_OFFSET_DATE_TIME,
        DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ssZ"),
        DateTimeFormatter.ISO_INSTANT,
        DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSSX"),
        DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSSZ"),
        DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"),
        DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss'Z'Z"),
    };

    /** The first form that reads it says when; compared as a Date, in whole milliseconds. */
    static boolean inTime(String expires, long now) {
        if (expires == null) {
            return false;
        }
        for (DateTimeFormatter form : FORMS) {
            try {
                return OffsetDateTime.parse(expires, form).toInstant().toEpochMilli() >= now;
            } catch (DateTimeParseException fault) {
                continue;
            }
        }
        return false;
    }

    /** The parameters that a command sees. */
    static String lowered(Map<String, String[]> params) {
        Map<String, String> seen = new HashMap<>();
        for (Map.Entry<String, String[]> entry : params.entrySet()) {
            seen.put(entry.getKey().toLowerCase(), entry.getValue()[0]);
        }
        StringBuilder text = new StringBuilder();
        for (Map.Entry<String, String> entry : new TreeMap<>(seen).entrySet()) {
            if (text.length() > 0) {
                text.append('&');
            }
            text.append(escape(entry.getKey())).append('=').append(escape(entry.getValue()));
        }
        return text.toString();
    }

    /** RFC 3986's unreserved characters stay, everything else is escaped. */
    static String escape(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8)
            .replace("+", "%20").replace("*", "%2A").replace("%7E", "~");
    }

    private static final String[] VALUES = {
        "", "a", "A Z", "~*+ /", "~", "*", "+", " ", "%", "%41", "&", "=", "a=b&c", ";", "#", "?",
        "\u00e9", "e\u0301", "\u0130", "\u0131", "\u212a", "\u017f", "\u00df", "\u1e9e", "\u03a3",
        "\u4e2d\u6587", "\ud83d\ude00", "\u202e", "\ufeff", "\u00a0", "\u2028", "\r\n", "\n",
        "true", "TRUE", "10", "0", "-1", "a.b-c_d", "\\", "\"", "'", "<b>", "[1]", "{}", "|", "^",
        "2026-01-01", "00000000-0000-4000-8000-00000000000A", "//", "+0000", "=", "%2B", "%%",
    };
    private static final String LETTERS =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.[]-";
    private static final long NOW = 1800000000000L;
    private static final String[] EXPIRES = {
        "2027-01-15T08:00:00+0000", "2027-01-15T08:00:00Z", "2027-01-15T07:59:59Z",
        "2027-01-15T07:59:59.999Z", "2027-01-15T08:00:00.000Z", "2027-01-15T08:00:01+0000",
        "2027-01-15T09:00:00+0100", "2027-01-15T08:59:59+0100", "2027-01-15T09:00:00+01:00",
        "2027-01-15T08:00Z", "2027-01-15T07:59Z", "2027-01-15T08:00:00", "2027-01-15 08:00:00Z",
        "2027-01-15T08:00:00.000000+0000", "2027-01-15T08:00:00.000000Z", "", "never", "1800000000",
        "2027-01-15T08:00:00Z+0000", "2027-01-15t08:00:00z", "2027-01-15T08:00:00 0000",
        "9999-12-31T23:59:59Z", "2027-02-30T00:00:00Z", "2028-02-29T00:00:00Z",
        "2027-01-15T24:00:00Z", "2027-01-15T08:00:60Z", "2027-01-15T08:00:00.123+0000",
        "2027-01-15T08:00:00-0000", "2027-01-15T08:00:00+05", "2027-01-15T08:00:00+00:00:00",
    };

    static void sign(int count, long seed) {
        Random draw = new Random(seed);
        StringBuilder out = new StringBuilder();
        for (int n = 0; n < count; n++) {
            Map<String, String[]> params = drawn(draw);
            String secret = "s" + Long.toHexString(draw.nextLong());
            String signature = judge(params, secret, NOW).computed;
            spoil(params, draw);
            params.put(cased("signature", draw), new String[] {
                draw.nextInt(12) == 0 ? signature.toLowerCase() : signature
            });
            boolean verdict = judge(params, secret, NOW).verified;
            out.append(secret).append('\t').append(verdict).append('\t');
            List<String> names = new ArrayList<>(params.keySet());
            Collections.shuffle(names, draw);
            for (int at = 0; at < names.size(); at++) {
                String name = names.get(at);
                out.append(at > 0 ? "&" : "").append(written(name, draw)).append('=')
                    .append(written(params.get(name)[0], draw));
            }
            out.append('\n');
        }
        System.out.print(out);
    }

    private static Map<String, String[]> drawn(Random draw) {
        Map<String, String[]> params = new HashMap<>();
        params.put("command", new String[] {"listZones"});
        params.put(cased("apikey", draw), new String[] {"K" + draw.nextInt(9)});
        if (draw.nextInt(3) == 0) {
            String[] versions = {"3", "3", "3", "2", "", "03"};
            params.put(cased("signatureversion", draw),
                new String[] {versions[draw.nextInt(versions.length)]});
            if (draw.nextInt(8) > 0) {
                params.put(cased("expires", draw),
                    new String[] {EXPIRES[draw.nextInt(EXPIRES.length)]});
            }
        }
        Map<String, Boolean> used = new HashMap<>();
        for (int more = draw.nextInt(6); more > 0; more--) {
            StringBuilder name = new StringBuilder("x");
            for (int length = draw.nextInt(8); length > 0; length--) {
                name.append(LETTERS.charAt(draw.nextInt(LETTERS.length())));
            }
            StringBuilder value = new StringBuilder();
            for (int parts = draw.nextInt(4); parts > 0; parts--) {
                value.append(VALUES[draw.nextInt(VALUES.length)]);
            }
            if (used.put(name.toString().toLowerCase(), true) == null) {
                params.put(name.toString(), new String[] {value.toString()});
            }
        }
        return params;
    }

    /** Some maps are changed after they were signed. */
    private static void spoil(Map<String, String[]> params, Random draw) {
        List<String> names = new ArrayList<>(params.keySet());
        Collections.sort(names);
        String name = names.get(draw.nextInt(names.size()));
        String value = params.get(name)[0];
        switch (draw.nextInt(10)) {
            case 0 -> params.put(name, new String[] {value + "1"});
            case 1 -> params.put("xadded", new String[] {"1"});
            case 2 -> {
                if (name.startsWith("x")) {
                    params.put(name, new String[] {asciiUpper(value)});
                }
            }
            case 3 -> {
                if (name.startsWith("x")) {
                    params.remove(name);
                }
            }
            default -> { }
        }
    }

    private static String asciiUpper(String value) {
        StringBuilder upper = new StringBuilder();
        value.chars().forEach(c -> upper.append((char) (c >= 'a' && c <= 'z' ? c - 32 : c)));
        return upper.toString();
    }

    private static String cased(String name, Random draw) {
        StringBuilder text = new StringBuilder();
        for (char c : name.toCharArray()) {
            text.append(draw.nextInt(4) == 0 ? Character.toUpperCase(c) : c);
        }
        return draw.nextInt(2) == 0 ? name : text.toString();
    }

    /** Percent-encoded in one of the ways that clients have. */
    private static String written(String text, Random draw) {
        boolean plus = draw.nextBoolean();
        boolean lower = draw.nextBoolean();
        boolean bare = draw.nextBoolean();
        StringBuilder out = new StringBuilder();
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            char c = (char) (b & 0xff);
            boolean unreserved = c < 128 && (Character.isLetterOrDigit(c) || "-._~".indexOf(c) >= 0);
            if (unreserved || bare && c < 128 && "*/:;,@!$'()[]".indexOf(c) >= 0) {
                out.append(c);
            } else if (c == ' ' && plus) {
                out.append('+');
            } else {
                out.append(String.format(lower ? "%%%02x" : "%%%02X", (int) c));
            }
        }
        return out.toString();
    }
}
