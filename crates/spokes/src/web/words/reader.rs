//! What readers see around posts, in both tongues.

use super::{Forms, words};

words! {
    /// The words on pages for readers.
    Words: &'static str {
        skip: "Skip to content", "انتقل إلى المحتوى";
        list_and: " and ", " و";
        list_comma: ", ", "، ";

        menu: "Blog", "المدونة";
        archive: "Archive", "الأرشيف";
        feed: "Feed", "الخلاصة";
        tags: "Tags", "الوسوم";
        posts_tagged: "Posts tagged", "تدوينات بالوسم";
        no_posts: "There are no posts here yet.", "لا توجد تدوينات هنا بعد.";
        edited: "edited {day}", "عُدّلت في {day}";
        more_posts: "More posts", "المزيد من التدوينات";
        newer_posts: "Newer posts", "تدوينات أحدث";
        older_posts: "Older posts", "تدوينات أقدم";
        neighbors: "Neighboring posts", "تدوينات مجاورة";
        newer: "Newer", "الأحدث";
        older: "Older", "الأقدم";

        latest: "Latest posts", "أحدث التدوينات";
        latest_of: "The latest from the blogs of {network}.", "أحدث ما في مدونات {network}.";
        kept_by: "{blogs}, kept by {servers}.", "{blogs}، تحفظها {servers}.";
        kept_by_many: "{blogs}, kept by {servers} and by nobody alone.",
            "{blogs}، تحفظها {servers} ولا ينفرد بها أحد.";
        as_of: "As of {seconds} ago.", "كما كانت قبل {seconds}.";
        gathering: "This server has just started and is still gathering the latest posts. Look again in a moment.",
            "بدأ هذا الخادم للتو وما زال يجمع أحدث التدوينات. عد بعد لحظات.";
        nobody_yet: "Nobody has written here yet. The first post could be yours.",
            "لم يكتب أحد هنا بعد. قد تكون التدوينة الأولى لك.";
        start: "Start a blog", "ابدأ مدونة";
        start_why: "A blog here belongs to whoever holds its key. Install {program} on your own computer, and run:",
            "المدونة هنا ملك لمن بيده مفتاحها. ثبّت {program} على حاسوبك، ثم شغّل:";

        held_by: "Held by {servers}; primary {primary}.", "تحفظها {servers}؛ والأساسي منها {primary}.";
        signed_with: "Every word is signed with the key of {author}, {fingerprint}.",
            "كل كلمة موقّعة بمفتاح {author}، وبصمته {fingerprint}.";
        its_author: "its author", "صاحبها";
        served_by: "You are reading {network} from the server {spoke}.",
            "تقرأ {network} من الخادم {spoke}.";
        served_by_operator: "You are reading {network} from the server {spoke}, run by {operator}.",
            "تقرأ {network} من الخادم {spoke} الذي تديره {operator}.";
        source: "Its signed source: {text}, {sealed}.", "مصدرها الموقّع: {text}، {sealed}.";
        source_text: "plain text", "نص بسيط";
        source_sealed: "with its signature", "مع توقيعه";
        signed_by: "Signed by {fingerprint}.", "وقّعها المفتاح {fingerprint}.";
        check: "Check it yourself", "تحقق بنفسك";
        check_how: "Two commands fetch the author’s key and the signed post; the second answers “Good signature”:",
            "أمران يجلبان مفتاح الكاتب والتدوينة الموقّعة، ويجيب ثانيهما «Good signature» أي إن التوقيع سليم:";
        check_compare: "Compare the fingerprint with one that the author gave you in another way.",
            "قارن البصمة ببصمة أعطاك إياها الكاتب بطريق آخر.";
        late: "This copy may be late: the blog’s primary did not answer. Everything shown here is signed by its author. Look again in a minute for anything newer.",
            "قد تكون هذه النسخة متأخرة: لم يجب الخادم الأساسي للمدونة. كل ما يظهر هنا موقّع من صاحبه. عد بعد دقيقة لترى إن كان هناك جديد.";
        may_lack: "Servers of this blog were lost, and it may lack entries after number {number}. Everything up to there is safe. What is missing is added as soon as anybody who holds it returns.",
            "فُقدت خوادم لهذه المدونة، وقد تنقصها مدخلات بعد الرقم {number}. كل ما قبله محفوظ. ويُضاف ما ينقص حالما يعود من يحفظه.";
    }
}

words! {
    /// Nouns with their numbers ([`super::counted`]).
    Counted: Forms {
        blogs: &["{n} blog", "{n} blogs"],
            &["لا مدونات", "مدونة واحدة", "مدونتان", "{n} مدونات", "{n} مدونة", "{n} مدونة"];
        servers: &["{n} server", "{n} servers"],
            &["لا خوادم", "خادم واحد", "خادمان", "{n} خوادم", "{n} خادمًا", "{n} خادم"];
        seconds: &["{n} second", "{n} seconds"],
            &["لحظة", "ثانية واحدة", "ثانيتين", "{n} ثوان", "{n} ثانية", "{n} ثانية"];
        copies: &["This post is on {n} server.", "This post is on {n} servers."],
            &["لم يؤكد أي خادم هذه التدوينة بعد.", "هذه التدوينة على خادم واحد.", "هذه التدوينة على خادمين.",
              "هذه التدوينة على {n} خوادم.", "هذه التدوينة على {n} خادمًا.", "هذه التدوينة على {n} خادم."];
    }
}
