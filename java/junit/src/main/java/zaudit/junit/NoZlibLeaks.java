package zaudit.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test fails if an Inflater or Deflater that it creates is not ended when it is over.
 *
 * <p>On a class it applies to all of its tests, those of nested classes included, and to what
 * {@code @BeforeAll} creates, which must be ended when {@code @AfterAll} is over.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@Documented
@ExtendWith(NoZlibLeaksExtension.class)
public @interface NoZlibLeaks {}
