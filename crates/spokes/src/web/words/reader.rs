//! What readers see around posts, in both tongues.

use super::{Forms, words};

words! {
    /// The words on pages for readers.
    Words: &'static str {
        skip: "Skip to content", "انتقل إلى المحتوى";
        list_and: " and ", " و";
        list_comma: ", ", "، ";
        site_menu: "Site", "الموقع";
        your_desk: "Your desk", "مكتبك";
        other_tongue: "Language of this site", "لغة هذا الموقع";

        // A blog.
        menu: "Blog", "المدونة";
        archive: "Archive", "الأرشيف";
        more_pages: "More pages", "صفحات أخرى";
        feeds: "Feeds: {atom}, {rss}, {json}", "الخلاصات: {atom}، {rss}، {json}";
        tags: "Tags", "الوسوم";
        posts_tagged: "Posts tagged", "تدوينات بالوسم";
        no_posts: "There are no posts here yet.", "لا توجد تدوينات هنا بعد.";
        nothing_tagged: "No post of this blog bears this tag.", "لا تحمل أي تدوينة في هذه المدونة هذا الوسم.";
        by: "by {author}", "بقلم {author}";
        edited: "edited {day}", "عُدّلت في {day}";
        more_posts: "More posts", "المزيد من التدوينات";
        newer_posts: "Newer posts", "تدوينات أحدث";
        older_posts: "Older posts", "تدوينات أقدم";
        neighbors: "Neighboring posts", "تدوينات مجاورة";
        newer: "Newer", "الأحدث";
        older: "Older", "الأقدم";
        years: "Years", "السنوات";
        late: "This copy may be late: the blog’s primary did not answer. Everything shown here is signed by its author. Look again in a minute for anything newer.",
            "قد تكون هذه النسخة متأخرة: لم يجب الخادم الأساسي للمدونة. كل ما يظهر هنا موقّع من صاحبه. عد بعد دقيقة لترى إن كان هناك جديد.";
        may_lack: "Servers of this blog were lost, and it may lack entries after number {number}. Everything up to there is safe. What is missing is added as soon as anybody who holds it returns.",
            "فُقدت خوادم لهذه المدونة، وقد تنقصها مدخلات بعد الرقم {number}. كل ما قبله محفوظ. ويُضاف ما ينقص حالما يعود من يحفظه.";

        // The foot of a blog's pages.
        held_by: "Kept by {servers}, each with a full copy; the author writes to {primary}.",
            "تحفظها الخوادم {servers}، وعند كل منها نسخة كاملة؛ ويكتب صاحبها إلى {primary}.";
        held_by_waits: "Kept by {servers}. There is no answer from {silent}: what the author writes now has to wait.",
            "تحفظها الخوادم {servers}. ولا جواب من {silent}: ما يكتبه صاحبها الآن ينتظر.";
        held_by_one: "Kept by {servers} alone so far.", "لا يحفظها حتى الآن إلا {servers}.";
        how_kept: "How this blog is kept, and by whom", "كيف تُحفظ هذه المدونة، ومن يحفظها";
        signed_with: "Every word is signed with the key of {author}: {fingerprint}",
            "كل كلمة موقّعة بمفتاح {author}، وبصمته: {fingerprint}";
        its_author: "its author", "صاحبها";
        served_by: "You are reading {network} from the server {spoke}.",
            "تقرأ {network} من الخادم {spoke}.";
        served_by_operator: "You are reading {network} from the server {spoke}, run by {operator}.",
            "تقرأ {network} من الخادم {spoke} الذي يديره {operator}.";
        source: "Its signed source: {text}, {sealed}.", "مصدرها الموقّع: {text}، {sealed}.";
        source_text: "plain text", "نص بسيط";
        source_sealed: "with its signature", "مع توقيعه";
        signed_by: "It was signed by another key of the blog: {fingerprint}", "وقّعها مفتاح آخر للمدونة: {fingerprint}";
        write: "Write", "اكتب هنا";
        check: "Check it yourself", "تحقق بنفسك";
        check_how: "Two commands fetch the author’s key and the signed post; the second answers “Good signature”:",
            "أمران يجلبان مفتاح الكاتب والتدوينة الموقّعة، ويجيب ثانيهما «Good signature» أي إن التوقيع سليم:";
        check_compare: "Compare the fingerprint with one that the author gave you in another way.",
            "قارن البصمة ببصمة أعطاك إياها الكاتب بطريق آخر.";

        // The page about a blog.
        about: "About this blog", "عن هذه المدونة";
        about_where: "Who keeps it", "من يحفظها";
        about_since: "On {network} since {day}.", "على {network} منذ {day}.";
        about_server: "Server", "الخادم";
        about_operator: "Run by", "يديره";
        about_role: "Its part", "دوره";
        about_newest: "Has all", "عنده الكل";
        role_primary: "primary", "أساسي";
        role_secondary: "secondary", "ثانوي";
        about_roles: "The primary takes what the author writes. The others fetch it at once, keep a full copy and serve readers.",
            "الأساسي يستقبل ما يكتبه صاحب المدونة، والآخرون يجلبونه حالًا ويحفظون نسخة كاملة ويخدمون القراء.";
        yes: "yes", "نعم";
        not_said: "not yet", "ليس بعد";
        about_epoch: "This is set number {number} of servers for this blog.", "هذه هي المجموعة رقم {number} من خوادم هذه المدونة.";
        about_safe_heading: "How safe it is", "مدى سلامتها";
        about_safe: "Its newest entry, number {number}, is safe: {held}.", "أحدث مدخل فيها، ورقمه {number}، محفوظ بأمان: {held}.";
        about_not_safe: "Its newest entry, number {number}, is not safe yet: {held}.",
            "أحدث مدخل فيها، ورقمه {number}، ليس محفوظًا بأمان بعد: {held}.";
        about_safe_one: "Its newest entry, number {number}, is on one server, the only one of this blog.",
            "أحدث مدخل فيها، ورقمه {number}، على خادم واحد، ولا خادم غيره لهذه المدونة.";
        about_safe_one_means: "No other server has a copy of it: if its disk fails, what is left is what the author keeps.",
            "لا نسخة منها على خادم آخر: إن تلف قرصه فلا يبقى إلا ما يحفظه صاحبها عنده.";
        about_waits: "There is no answer from {silent}, and the others are too few to go on by themselves. The copies are on their disks still. What the author writes now has to wait until they are back, or until an organizer of {network} lets the blog go on without them. The newest entry here is number {number}.",
            "لا جواب من {silent}، والخوادم الأخرى أقل من أن تمضي وحدها. والنسخ باقية على أقراصها. وما يكتبه صاحبها الآن ينتظر حتى تعود، أو حتى يأذن أحد منظمي {network} بأن تمضي المدونة من دونها. وأحدث مدخل هنا رقمه {number}.";
        about_silent: "no answer", "لا يجيب";
        about_held: "{have} of {all} servers have signed that they hold it and everything before it",
            "وقّع {have} من {all} من الخوادم أنها تحفظه وكل ما قبله";
        about_safe_means: "Safe means that most of its servers have signed a receipt that an entry is on their disks, so that no single one of them can lose it.",
            "«محفوظ بأمان» معناه أن أكثر خوادم المدونة وقّعت إيصالًا بأن المدخل على أقراصها، فلا يستطيع خادم واحد أن يضيعه.";
        about_author: "Whose words these are", "لمن هذه الكلمات";
        about_author_is: "The author’s key names her or him: {user_id}. Nobody but its holder has checked this name.",
            "يسمي المفتاح صاحبه: {user_id}. ولم يتحقق من هذا الاسم أحد غير حامله.";
        about_fingerprint: "The fingerprint of this key is:", "بصمة هذا المفتاح:";
        about_key: "The key as a file", "المفتاح ملفًا";
        about_check: "Check any post with two commands; the second answers “Good signature”:",
            "تحقق من أي تدوينة بأمرين، ويجيب ثانيهما «Good signature» أي إن التوقيع سليم:";
        about_check_any: "The name of every post with .asc at its end is its signed source.",
            "عنوان كل تدوينة مع ‎.asc في آخره هو مصدرها الموقّع.";
        about_programs: "For programs: {facts}, {receipts}, {entries}.", "للبرامج: {facts}، {receipts}، {entries}.";
        facts: "facts", "الحقائق";
        receipts: "signed receipts", "الإيصالات الموقّعة";
        entries: "signed entries", "المدخلات الموقّعة";

        // The network's own pages.
        latest: "Latest posts", "أحدث التدوينات";
        latest_of: "The latest from the blogs of {network}.", "أحدث ما في مدونات {network}.";
        kept_by: "{blogs}, kept by {servers}.", "{blogs}، {servers}.";
        kept_by_many: "{blogs}, kept by {servers} and by nobody alone.", "{blogs}، {servers}، ولا ينفرد بها أحد.";
        claim: "Blogs that belong to those who write them", "مدونات هي ملك لمن يكتبها";
        lead: "Each is kept by several servers of different people, and every word is signed.",
            "تحفظ كلًا منها خوادم عدة لأناس مختلفين، وكل كلمة فيها موقّعة.";
        all_languages: "All", "الكل";
        languages: "Posts by language", "التدوينات حسب اللغة";
        as_of: "As of {seconds} ago.", "قبل {seconds}.";
        gathering: "This server has just started and is still gathering the latest posts. Look again in a moment.",
            "بدأ هذا الخادم للتو وما زال يجمع أحدث التدوينات. عد بعد لحظات.";
        nobody_yet: "Nobody has written here yet. The first post could be yours.",
            "لم يكتب أحد هنا بعد. قد تكون التدوينة الأولى لك.";
        nobody_in_language: "There is nothing among the latest posts in this language. Older ones are on the blogs themselves, where this choice does not reach.",
            "ليس بين أحدث التدوينات ما هو بهذه اللغة. أما الأقدم ففي المدونات نفسها، ولا يشملها هذا الاختيار.";
        latest_in_language: "This choice covers the latest posts only.", "يشمل هذا الاختيار أحدث التدوينات فقط.";
        back_to_all: "Show the latest posts in all languages", "اعرض أحدث التدوينات بكل اللغات";
        start: "Start a blog", "ابدأ مدونة";
        start_why: "A blog here belongs to whoever holds its key: no server can write in it, and none can take it away.",
            "المدونة هنا ملك لمن بيده مفتاحها: لا يستطيع خادم أن يكتب فيها ولا أن ينتزعها.";
        start_command: "Or install {program} on your own computer, and run:", "أو ثبّت {program} على حاسوبك، ثم شغّل:";
        start_key: "{fingerprint} says which OpenPGP key is yours; {list} shows it.",
            "{fingerprint} هي بصمة مفتاحك في OpenPGP، ويعرضها {list}.";
        who: "Who runs this", "من يدير هذه الشبكة";
        who_servers: "{network} is {servers}, given by {groups}. Its council keeps the names, and nothing else.",
            "{network} هي {servers}، تبرعت بها {groups}. ومجلسها يحفظ الأسماء ولا شيء غيرها.";
        who_here: "This page came from the server {spoke}.", "جاءت هذه الصفحة من الخادم {spoke}.";
        who_here_operator: "This page came from the server {spoke}, run by {operator}.",
            "جاءت هذه الصفحة من الخادم {spoke} الذي يديره {operator}.";
        status: "Servers", "الخوادم";
        status_more: "All servers and their state", "كل الخوادم وحالتها";

        // The search.
        search: "Search", "بحث";
        search_label: "Words to search for", "كلمات البحث";
        search_results: "Search results for “{query}”", "نتائج البحث عن «{query}»";
        search_partial: "None of the servers that keep all posts answered just now. Only the posts of {blogs} on this server, and the latest posts of the others, were searched. Try again in a moment.",
            "لم يستجب الآن أيّ خادم من الخوادم التي تحفظ كل التدوينات. اقتصر البحث على تدوينات {blogs} يحفظها هذا الخادم، وعلى أحدث تدوينات غيرها. أعد المحاولة بعد لحظات.";
        search_found: "Found: {posts}.", "عدد النتائج: {posts}.";
        search_odd: "{filters} could not be understood, and was left out. A day is written 2026-01-31.",
            "تعذّر فهم {filters} فلم يؤخذ به. يُكتب اليوم هكذا: 2026-01-31.";
        search_order: "Order of the results", "ترتيب النتائج";
        search_best: "Best first", "الأنسب أولًا";
        search_newest: "Newest first", "الأحدث أولًا";
        search_pages: "More results", "المزيد من النتائج";
        search_before: "Results before", "النتائج السابقة";
        search_after: "More results", "المزيد من النتائج";
        search_no_more: "There are no more results.", "لا مزيد من النتائج.";
        search_no_words: "There is nothing in this that could be looked for. Write a word or more.",
            "ليس في هذا ما يمكن البحث عنه. اكتب كلمة أو أكثر.";
        search_too_long: "This is more than a search takes: only the first words were looked for.",
            "هذا أكثر مما يتسع له البحث: لم يُبحث إلا عن الكلمات الأولى.";
        search_meant: "Did you mean {words}?", "هل تقصد {words}؟";
        search_feeds: "Follow this search: {atom}, {rss}, {json}", "تابع هذا البحث: {atom}، {rss}، {json}";
        search_cut: "Older posts on this server were not searched, so that you need not wait.",
            "لم يشمل البحث ما هو أقدم على هذا الخادم، كي لا تنتظر طويلًا.";
        search_none: "No post has all of these words.", "لا توجد تدوينة فيها كل هذه الكلمات.";
        search_how: "A post is found when its title, tags or text contain all the words.",
            "تُعرض التدوينة إذا وُجدت الكلمات كلها في عنوانها أو وسومها أو نصها.";
        search_how_title: "How to search", "كيف تبحث";
        search_how_phrase: "these words in this order", "هذه الكلمات بهذا الترتيب";
        search_how_without: "only posts without this word", "تدوينات ليس فيها هذه الكلمة";
        search_how_filter: "only posts of this blog, with this tag, in this language", "تدوينات هذه المدونة، بهذا الوسم، بهذه اللغة";
        search_how_dates: "only posts from this day on, or before that day", "تدوينات من هذا اليوم فصاعدًا، أو قبل ذلك اليوم";

        // What this server knows.
        status_title: "Servers of {network}", "خوادم {network}";
        status_lead: "What the server {spoke} knows of the network at this moment.", "ما يعرفه الخادم {spoke} عن الشبكة في هذه اللحظة.";
        state: "State", "الحالة";
        state_applied: "asked to come in {day}", "طلب الانضمام في {day}";
        state_admitted: "in since {day}", "عضو منذ {day}";
        state_silent: "silent since {day}", "لا يجيب منذ {day}";
        state_leaving: "leaving since {day}", "يغادر الشبكة منذ {day}";
        state_evicted: "out since {day}", "خارج الشبكة منذ {day}";
        blogs_held: "Blogs", "المدونات";
        this_server: "This server", "هذا الخادم";
        network_facts: "The network", "الشبكة";
        fact_blogs: "Blogs", "المدونات";
        fact_servers: "Servers that are in", "الخوادم الأعضاء";
        fact_records: "Records of the registry", "قيود السجل";
        fact_entries: "Entries on its disk", "المدخلات على قرصه";
        fact_mended: "Altered or lost entries mended", "مدخلات حُرّفت أو ضاعت فأُصلحت";
        fact_started: "Running since", "يعمل منذ";
        fact_age: "Age of its list of latest posts", "عمر قائمة أحدث التدوينات";
        fact_id: "Its id", "معرّفها";
        circle_facts: "Circles", "الحلقات";
        circle_how: "The latest posts come from server to server: each asks two that gather for its circle, and these ask those of the circle around it, up to the inner circle.",
            "تنتقل أحدث التدوينات من خادم إلى خادم: يسأل كل خادم اثنين يجمعان لحلقته، ويسأل هذان من يجمعون للحلقة المحيطة، حتى الحلقة الداخلية.";
        fact_levels: "Levels below the inner circle", "المستويات دون الحلقة الداخلية";
        fact_circle: "In one circle with this server", "في حلقة واحدة مع هذا الخادم";
        fact_aggregators: "Gathering for this circle", "من يجمع لهذه الحلقة";
        fact_inner: "The inner circle", "الحلقة الداخلية";
        noticed: "What this server noticed", "ما لاحظه هذا الخادم";
        noticed_nothing: "Nothing that a server should not do.", "لا شيء مما لا ينبغي لخادم أن يفعله.";
        notice_invents: "{spoke} showed something that no author signed. It was not taken over.",
            "عرض {spoke} ما لم يوقّعه أي كاتب، فلم يؤخذ به.";
        notice_leaves_out: "{spoke} left out a post of {blog}. Others are asked as well.",
            "أسقط {spoke} تدوينة من {blog}، فصار غيره يُسأل أيضًا.";
        notice_brings_back: "{spoke} showed a post of {blog} that its author has replaced or taken back. It is not shown here.",
            "عرض {spoke} تدوينة من {blog} استبدلها صاحبها أو سحبها، وهي لا تُعرض هنا.";
        notice_last: "Last seen {day}.", "آخر مرة في {day}.";
        programs: "For programs: {facts}", "للبرامج: {facts}";

        // What every error leads to.
        to_archive: "The archive of this blog", "أرشيف هذه المدونة";
        to_blog: "This blog", "هذه المدونة";
        to_front: "The front page of {network}", "الصفحة الأولى في {network}";
        ways_on: "Ways on", "إلى أين";
    }
}

words! {
    /// Nouns with their numbers ([`super::counted`]).
    Counted: Forms {
        blogs: &["{n} blog", "{n} blogs"],
            &["لا مدونات", "مدونة واحدة", "مدونتان", "{n} مدونات", "{n} مدونة", "{n} مدونة"];
        of_blogs: &["{n} blog", "{n} blogs"],
            &["{n} مدونة", "مدونة واحدة", "مدونتين", "{n} مدونات", "{n} مدونة", "{n} مدونة"];
        servers: &["{n} server", "{n} servers"],
            &["لا خوادم", "خادم واحد", "خادمان", "{n} خوادم", "{n} خادمًا", "{n} خادم"];
        keeping: &["{n} server", "{n} servers"],
            &["لا يحفظها خادم", "يحفظها خادم واحد", "يحفظها خادمان", "تحفظها {n} خوادم", "يحفظها {n} خادمًا", "يحفظها {n} خادم"];
        asked: &["{n} spoke was", "{n} spokes were"],
            &["لم يُسأل خادم", "سُئل خادم واحد", "سُئل خادمان", "سُئلت {n} خوادم", "سُئل {n} خادمًا", "سُئل {n} خادم"];
        groups: &["{n} group", "{n} groups"],
            &["لا مجموعات", "مجموعة واحدة", "مجموعتان", "{n} مجموعات", "{n} مجموعة", "{n} مجموعة"];
        seconds: &["{n} second", "{n} seconds"],
            &["لحظة", "ثانية واحدة", "ثانيتين", "{n} ثوان", "{n} ثانية", "{n} ثانية"];
        copies: &["This post is on {n} server.", "This post is on {n} servers."],
            &["لم يؤكد أي خادم هذه التدوينة بعد.", "هذه التدوينة على خادم واحد.", "هذه التدوينة على خادمين.",
              "هذه التدوينة على {n} خوادم.", "هذه التدوينة على {n} خادمًا.", "هذه التدوينة على {n} خادم."];
        posts: &["{n} post", "{n} posts"],
            &["لا تدوينات", "تدوينة واحدة", "تدوينتان", "{n} تدوينات", "{n} تدوينة", "{n} تدوينة"];
    }
}
