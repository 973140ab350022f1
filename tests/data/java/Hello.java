import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

/** Says hello on port 8080, and on its output that it has begun. */
public final class Hello {
    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        byte[] hello = "hello\n".getBytes();
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, hello.length);
            try (var body = exchange.getResponseBody()) {
                body.write(hello);
            }
        });
        server.start();
        System.out.println("hello is listening");
    }
}
