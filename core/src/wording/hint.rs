//! What to change in the code: the sentences of the hints.
//!
//! `site` is a call such as `Codec.decode()`, `kind` is `Inflater` or `Deflater`, `stream` the
//! simple name of a stream of the JDK. What follows from experience, not from what was seen, says
//! "probably".

/// Where most instances are ended, a single path is missing.
fn close(stream: &str, site: &str, some_are_ended: bool) -> String {
    let paths = if some_are_ended { " on every path, exceptions included" } else { "" };
    format!("close the {stream} created in {site}{paths}")
}

/// `giver` is the method of the JDK that `site` calls.
pub fn entry_stream_not_closed(site: &str, giver: &str, some_are_closed: bool) -> String {
    let paths = if some_are_closed { " on every path, exceptions included" } else { "" };
    format!(
        "close the stream that {site} gets from {giver}{paths}; reading it to its end does not \
         give its Inflater back"
    )
}

/// An archive pools its Inflaters: a `ZipFile`, or the `FileSystem` of a zip file.
pub fn zip_file_not_closed(archive: &str) -> String {
    format!(
        "close every {archive} and every stream of its entries; {archive} pools its Inflaters, so \
         another caller may have lost this one"
    )
}

/// The finalizer or Cleaner of the object around it called `end()`.
pub fn owner_left_to_finalizer(kind: &str, site: &str) -> String {
    format!(
        "the object that owns the {kind} created in {site} was left to its finalizer or Cleaner; \
         close that object"
    )
}

/// `line` is the call that ends an instance twice.
pub fn wrong_instance_ended(line: &str, kind: &str, site: &str) -> String {
    format!(
        "{line} calls end() on an instance that is already ended, probably the wrong one; the \
         {kind} created in {site} is never ended"
    )
}

/// `taken` is the call of the pool's method.
pub fn pool_not_given_back(site: &str, kind: &str, taken: &str) -> String {
    format!(
        "{site} probably does not give back the {kind} that it gets from {taken}; give it back on \
         every path"
    )
}

/// The value of a ThreadLocal.
pub fn thread_local_not_ended(site: &str, kind: &str) -> String {
    format!(
        "the {kind} that a ThreadLocal creates in {site} is lost when its thread ends; call end() \
         and remove() before that, or let threads share a pool"
    )
}

/// One of several callers of `from`, whose other callers end theirs. `thing` is `Inflater`,
/// `Deflater` or a stream.
pub fn caller_does_not_end(site: &str, thing: &str, from: &str) -> String {
    format!(
        "{site} probably does not end or close the {thing} that it gets from {from}, alone or in \
         another object; other callers do"
    )
}

/// The same where `class` creates an instance in its constructor.
pub fn caller_does_not_close(site: &str, class: &str) -> String {
    format!(
        "{site} probably does not close the {class} that it creates, as other callers do; if \
         {class} has no close(), it needs one that calls end()"
    )
}

/// JDK-8210471.
pub fn gzip_constructor_throws(site: &str, some_are_ended: bool) -> String {
    let close = close("GZIPInputStream", site, some_are_ended);
    format!(
        "{close}; if it is closed already, its constructor has probably thrown because the data is \
         not gzip, which loses its Inflater in this JDK (JDK-8210471)"
    )
}

/// A `DeflaterOutputStream` and its like.
pub fn output_stream_not_closed(
    stream: &str,
    kind: &str,
    site: &str,
    some_are_ended: bool,
) -> String {
    let (close, or) = (close(stream, site, some_are_ended), or_thrown(stream));
    format!("{close}; finish() and flush() do not end its {kind}, close() does{or}")
}

/// An `InflaterInputStream` and its like.
pub fn input_stream_not_closed(
    stream: &str,
    kind: &str,
    site: &str,
    some_are_ended: bool,
) -> String {
    let (close, or) = (close(stream, site, some_are_ended), or_thrown(stream));
    format!("{close}; reading it to its end does not end its {kind}{or}")
}

/// What else may have lost the instance of a stream whose constructor reads or writes. Seen on JDK
/// 8 to 28; a close() that throws loses nothing there.
fn or_thrown(stream: &str) -> String {
    let why = match stream {
        "GZIPOutputStream" | "JarOutputStream" => "the stream below failed",
        "JarInputStream" => "the data is damaged",
        "ZipInputStream" => "it was given null",
        _ => return String::new(),
    };
    format!("; if it is closed already, its constructor has probably thrown because {why}")
}

/// `class` extends Inflater or Deflater, which are `AutoCloseable` from JDK 25 on.
pub fn subclass_not_ended(class: &str, kind: &str, is_closeable: bool) -> String {
    if is_closeable {
        format!(
            "{class} extends {kind}: use it in a try-with-resources statement; if it overrides \
             close() or end(), the override must call super.close() or super.end()"
        )
    } else {
        format!(
            "{class} extends {kind}: call end(); if it overrides end(), the override must call \
             super.end()"
        )
    }
}

/// `site` is a call of a runtime that shows no frames of what it evaluates.
pub fn script_creates_it(site: &str, kind: &str) -> String {
    format!(
        "a script or an expression that {site} evaluates probably creates this {kind}; call end() \
         there"
    )
}

/// The option `depth` is too small.
pub fn stack_truncated() -> String {
    "the stack ends at the depth limit before a frame of the application; a larger depth= shows it"
        .into()
}

/// `class` is a class of the JDK; `instead` says what avoids it, if anything does.
pub fn jdk_never_ends(class: &str, kind: &str, instead: &str) -> String {
    let (joint, instead) = if instead.is_empty() { ("", "") } else { ("; ", instead) };
    format!(
        "a defect of the JDK: {class} never ends this {kind}, and the application cannot{joint}\
         {instead}"
    )
}

/// No frame of the application is on the stack.
pub fn jdk_only(site: &str) -> String {
    format!(
        "{site} and all its callers are code of the JDK, so the application cannot end it; close \
         or dispose of the object of the JDK that it uses here, if there is one; otherwise \
         this is probably a defect of the JDK"
    )
}

/// `class` is the class of the JDK that calls the constructor.
pub fn jdk_object_not_closed(site: &str, class: &str, kind: &str) -> String {
    format!(
        "close the object of the JDK that {site} uses, whose {class} creates this {kind}; if all \
         of these are closed, it is probably a defect of the JDK"
    )
}

/// `class` never ends what its constructor creates.
pub fn owner_without_close(class: &str, kind: &str) -> String {
    format!(
        "{class} creates this {kind} in its constructor; it probably needs a close() that calls \
         end(), and its callers need to call it"
    )
}

/// `class` ends what its constructor creates, but not always.
pub fn owner_not_always_closed(class: &str, kind: &str) -> String {
    format!(
        "{class} creates this {kind} in its constructor, and some are ended; probably not every \
         {class} is closed, or a constructor threw an exception"
    )
}

/// `site` is probably not where it can be ended.
pub fn outlives_its_creator(kind: &str, site: &str, some_are_ended: bool) -> String {
    let owner = end_with_owner(some_are_ended);
    format!("{site} probably returns or keeps this {kind}, alone or in another object; {owner}")
}

/// In Java from JDK 25 on.
pub fn use_try_with_resources(kind: &str, site: &str, some_are_ended: bool) -> String {
    let owner = end_with_owner(some_are_ended);
    format!(
        "use try ({kind} z = new {kind}(…)) in {site}; if the method returns or keeps this {kind}, \
         {owner}"
    )
}

/// Before JDK 25, and in other languages.
pub fn call_end(kind: &str, site: &str, some_are_ended: bool) -> String {
    let owner = end_with_owner(some_are_ended);
    format!(
        "call end() in a finally block in {site}; if the method returns or keeps this {kind}, \
         {owner}"
    )
}

/// A method that returns it or keeps it must not end it. If some are ended, a call is there, but
/// does not come on every path.
fn end_with_owner(some_are_ended: bool) -> &'static str {
    if some_are_ended {
        "find the owner that is not closed, or that does not end it"
    } else {
        "call end() where its owner is closed, because closing a stream that was given it does not \
         end it"
    }
}

/// `class` is the class of the blame frame.
pub fn possible_pool(class: &str, live: u64) -> String {
    format!("if this is a pool, add the rule live:{class}.* max={live} to a file of suppressions")
}

/// The number of live instances grows.
pub fn growing(kind: &str, site: &str) -> String {
    format!(
        "find out what retains the {kind}s created in {site} (gc_roots=3 shows it), and end them \
         there"
    )
}
