import com.github.houbb.sensitive.word.bs.SensitiveWordBs;
import com.github.houbb.sensitive.word.support.ignore.SensitiveWordCharIgnores;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;

/** Messages a second of houbb/sensitive-word with all its switches on: phrases file, messages file, one a line. */
public final class SensitiveWord {
    public static void main(String[] args) throws Exception {
        List<String> phrases = Files.readAllLines(Path.of(args[0]));
        List<String> messages = Files.readAllLines(Path.of(args[1]));
        SensitiveWordBs words = SensitiveWordBs.newInstance()
            .ignoreCase(true).ignoreWidth(true).ignoreNumStyle(true).ignoreChineseStyle(true)
            .ignoreEnglishStyle(true).ignoreRepeat(true)
            .charIgnore(SensitiveWordCharIgnores.specialChars())
            .wordDeny(() -> phrases).wordAllow(Collections::emptyList)
            .init();
        double best = 0;
        int found = 0;
        for (int round = 0; round < 12; round++) {
            long began = System.nanoTime();
            found = 0;
            for (String message : messages) {
                found += words.findAll(message).isEmpty() ? 0 : 1;
            }
            best = Math.max(best, messages.size() / ((System.nanoTime() - began) / 1e9));
        }
        System.out.printf("%.0f %d%n", best, found);
    }
}
