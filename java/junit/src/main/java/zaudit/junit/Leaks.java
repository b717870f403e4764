package zaudit.junit;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import zaudit.OpenInstances;
import zaudit.Zaudit;

/** What belongs to a scope and is not ended, now that the scope is over. */
final class Leaks {
    private final Scope scope;
    private final List<OpenInstances> instances;

    Leaks(Scope scope, List<OpenInstances> instances) {
        this.scope = scope;
        this.instances = new ArrayList<>(instances);
    }

    boolean isEmpty() {
        return instances.isEmpty();
    }

    /** As a test fails with it. */
    ZlibLeakError error() {
        return new ZlibLeakError(message(), instances.get(0).stack());
    }

    /** One line that says how many and whose, and the findings as the text report has them. */
    String message() {
        String findings = Zaudit.describe(instances);
        return counted() + whose() + "\n\n" + Shortened.stacks(findings, scope);
    }

    private String counted() {
        Map<String, Long> counts = new LinkedHashMap<>();
        for (OpenInstances one : instances) {
            counts.merge(one.kind(), one.count(), Long::sum);
        }
        long sum = 0;
        List<String> words = new ArrayList<>();
        for (Map.Entry<String, Long> entry : counts.entrySet()) {
            long count = entry.getValue();
            sum += count;
            words.add(count + " " + word(entry.getKey(), count));
        }
        String verb = sum == 1 ? " was" : " were";
        return String.join(" and ", words) + verb;
    }

    private static String word(String kind, long count) {
        boolean one = count == 1;
        if (kind.equals("zip_entry")) {
            return one ? "entry stream" : "entry streams";
        }
        return one ? kind : kind + "s";
    }

    private String whose() {
        switch (scope.level) {
            case TEST:
                return " not ended when " + scope.name() + " was over";
            case CLASS:
                return " created during " + scope.name() + ", by none of its tests,"
                        + " and not ended when it was over";
            default:
                return " created during the run, by no test, and not ended when it was over";
        }
    }
}
