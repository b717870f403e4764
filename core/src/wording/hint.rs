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
         give its Inflater back to the ZipFile"
    )
}

/// `ZipFile` pools its Inflaters.
pub fn zip_file_not_closed() -> String {
    "close every ZipFile and every stream of its entries; ZipFile pools its Inflaters, so another \
     caller may have lost this one"
        .into()
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

/// JDK-8210471.
pub fn gzip_constructor_throws(site: &str, some_are_ended: bool) -> String {
    let close = close("GZIPInputStream", site, some_are_ended);
    format!(
        "{close}; in this JDK, its Inflater also leaks if \
         its constructor throws because the data is not gzip (JDK-8210471)"
    )
}

/// A `DeflaterOutputStream` and its like.
pub fn output_stream_not_closed(
    stream: &str,
    kind: &str,
    site: &str,
    some_are_ended: bool,
) -> String {
    let close = close(stream, site, some_are_ended);
    format!(
        "{close}; finish() and flush() do not end its {kind}, \
         close() does"
    )
}

/// An `InflaterInputStream` and its like.
pub fn input_stream_not_closed(
    stream: &str,
    kind: &str,
    site: &str,
    some_are_ended: bool,
) -> String {
    let close = close(stream, site, some_are_ended);
    format!("{close}; reading it to its end does not end its {kind}")
}

/// `class` extends Inflater or Deflater.
pub fn subclass_not_ended(class: &str) -> String {
    format!("call end(); if {class} overrides end(), the override must call super.end()")
}

/// The same from JDK 25 on.
pub fn subclass_not_closed(class: &str) -> String {
    format!(
        "use try ({class} z = new {class}(…)), which ends it on every path; if {class} overrides \
         close() or end(), the override must call super.close() or super.end()"
    )
}

/// `site` is a call of a runtime that shows no frames of what it evaluates.
pub fn script_creates_it(site: &str, kind: &str) -> String {
    format!(
        "a script or an expression that {site} evaluates probably creates this {kind}; call end() \
         there"
    )
}

/// No frame of the application is on the stack.
pub fn jdk_only(site: &str) -> String {
    format!(
        "{site} and all its callers are code of the JDK: probably a bug in the JDK; use that class \
         less to avoid it"
    )
}

/// `class` is the class of the JDK that calls the constructor.
pub fn jdk_object_not_closed(site: &str, class: &str, kind: &str) -> String {
    format!(
        "close the object of the JDK that {site} uses, whose {class} creates this {kind}; if all \
         of these are closed, it is probably a bug in the JDK"
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

/// From JDK 25 on.
pub fn use_try_with_resources(kind: &str, site: &str) -> String {
    format!(
        "use try ({kind} z = new {kind}(…)) in {site}, which ends it on every path; {}",
        given_to_a_stream(kind)
    )
}

/// Before JDK 25.
pub fn call_end(kind: &str, site: &str, some_are_ended: bool) -> String {
    let paths = if some_are_ended { ", so that every path ends it" } else { "" };
    format!("call end() in a finally block in {site}{paths}; {}", given_to_a_stream(kind))
}

fn given_to_a_stream(kind: &str) -> String {
    format!("closing a stream that was given this {kind} does not end it")
}

/// `class` is the class of the blame frame.
pub fn possible_pool(class: &str, live: u64) -> String {
    format!("if this is a pool, add the rule live:{class}.* max={live} to a file of suppressions")
}

/// The number of live instances grows.
pub fn growing(kind: &str, site: &str) -> String {
    format!(
        "find out what retains the {kind}s created in {site} (gc_roots=3 shows it), and end them there"
    )
}
