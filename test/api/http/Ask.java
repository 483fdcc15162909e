import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Asks each URL with the JDK's own client as it comes, which wants HTTP/2 and so sends `Upgrade: h2c`; a line an answer. */
public class Ask {
  public static void main(String[] arguments) throws Exception {
    HttpClient client = HttpClient.newHttpClient();
    for (String argument : arguments) {
      String[] asked = argument.split(" ", 3);
      HttpRequest.BodyPublisher body =
          asked.length < 3 ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(asked[2]);
      HttpRequest request =
          HttpRequest.newBuilder(URI.create(asked[1]))
              .header("Content-Type", "application/json")
              .method(asked[0], body)
              .build();
      HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
      System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body().strip());
    }
  }
}
