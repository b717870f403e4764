import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * A call lets the database compress and expand a value with DEFLATE, and dump itself into a
 * deflated script.
 */
public final class H2Deflate {
    private H2Deflate() {}

    public static void main(String[] arguments) throws SQLException {
        try (Connection connection = DriverManager.getConnection("jdbc:h2:mem:");
                Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE T(A INT) AS SELECT X FROM SYSTEM_RANGE(1, 1000)");
            for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
                // Another one each time, for the result of a query without tables is kept.
                String query = "SELECT LENGTH(EXPAND(COMPRESS(STRINGTOUTF8(REPEAT('text', "
                        + (1000 + call) + ")), 'DEFLATE')))";
                try (ResultSet result = statement.executeQuery(query)) {
                    if (!result.next() || result.getInt(1) != 4 * (1000 + call)) {
                        throw new IllegalStateException("came back changed");
                    }
                }
                statement.execute("SCRIPT TO 'script.zip' COMPRESSION ZIP");
            }
        }
    }
}
