package zaudit.junit;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The findings of a text report without the frames of what runs the test. */
final class Shortened {
    /** A frame, and whether it is the one to blame. */
    private static final Pattern FRAME = Pattern.compile("(?:      |    > )(\\S+)\\.[^.(]+\\(.*");

    private static final Pattern MORE = Pattern.compile("      … ([\\d,]+) more frames?.*");

    private Shortened() {}

    /** Cuts each stack behind the outermost frame of the scope's own classes. */
    static String stacks(String findings, Scope scope) {
        List<String> lines = new ArrayList<>();
        List<String> frames = new ArrayList<>();
        for (String line : findings.split("\n")) {
            if (FRAME.matcher(line).matches()) {
                frames.add(line);
                continue;
            }
            Matcher more = MORE.matcher(line);
            boolean isMore = more.matches();
            long left = isMore ? Long.parseLong(more.group(1).replace(",", "")) : 0;
            add(frames, left, scope, lines);
            if (!isMore) {
                lines.add(line);
            }
        }
        add(frames, 0, scope, lines);
        return String.join("\n", lines);
    }

    private static void add(List<String> frames, long left, Scope scope, List<String> to) {
        int kept = frames.size();
        while (kept > 0 && !isOwn(frames.get(kept - 1), scope)) {
            kept--;
        }
        // Another thread's stack has none of them.
        kept = kept == 0 ? frames.size() : kept;
        long cut = left + frames.size() - kept;
        to.addAll(frames.subList(0, kept));
        if (cut > 0) {
            to.add("      … " + cut + (cut == 1 ? " more frame" : " more frames"));
        }
        frames.clear();
    }

    private static boolean isOwn(String frame, Scope scope) {
        Matcher matcher = FRAME.matcher(frame);
        if (!matcher.matches()) {
            return false;
        }
        String type = matcher.group(1);
        for (String own : scope.classes) {
            if (type.equals(own) || type.startsWith(own + "$")) {
                return true;
            }
        }
        return false;
    }
}
